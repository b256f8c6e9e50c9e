//! Results of an origin: values, versions and tags.

/// A value and the version that the origin gave it, such as a `version` column, an
/// `updated_at` in microseconds or PostgreSQL's `xmin`.
///
/// Each change of the value must increase the version. It must be below 2⁵³, as the
/// scripts in Redis compute with doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The value.
    pub value: T,
    /// Its version.
    pub version: u64,
}

/// A loaded or written value with everything that can be said about it. Most origins
/// return a `T`, an `Option<T>` or a [`Versioned<T>`] instead.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loaded<T> {
    /// `None` if the origin has no such value.
    pub value: Option<T>,
    /// Its version, if the origin has versions.
    pub version: Option<u64>,
    /// Tags of the entry; see [`Loaded::tag`].
    pub tags: Vec<String>,
}

impl<T> Loaded<T> {
    /// A value; `None` if there is none.
    pub fn new(value: Option<T>) -> Self {
        Self { value, version: None, tags: Vec::new() }
    }

    /// Sets the version.
    #[must_use]
    pub fn version(self, version: u64) -> Self {
        Self { version: Some(version), ..self }
    }

    /// Adds a tag: [`Cache::invalidate_tag`](crate::Cache::invalidate_tag) drops all
    /// entries that have it.
    ///
    /// An entry with tags costs one more round trip, when it is stored and at each hit
    /// in Redis, for all its tags together. A hit in the near cache costs nothing more.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }
}

/// A result of a load or write: `T`, `Option<T>`, [`Versioned<T>`],
/// `Option<Versioned<T>>` or [`Loaded<T>`].
///
/// Values without a version are ordered by when their load began, on Redis's clock. A
/// namespace must not mix values with and without a version.
pub trait IntoLoaded<T>: sealed::Sealed<T> + Send {
    /// The value with its version.
    fn into_loaded(self) -> Loaded<T>;
}

mod sealed {
    pub trait Sealed<T> {}
}

macro_rules! into_loaded {
    ($($type:ty: |$it:ident| $loaded:expr;)*) => {$(
        impl<T: Send> sealed::Sealed<T> for $type {}
        impl<T: Send> IntoLoaded<T> for $type {
            fn into_loaded(self) -> Loaded<T> {
                let $it = self;
                $loaded
            }
        }
    )*};
}

into_loaded! {
    T: |value| Loaded::new(Some(value));
    Option<T>: |value| Loaded::new(value);
    Versioned<T>: |it| Loaded::new(Some(it.value)).version(it.version);
    Option<Versioned<T>>: |it| it.map_or_else(|| Loaded::new(None), IntoLoaded::into_loaded);
    Loaded<T>: |it| it;
}
