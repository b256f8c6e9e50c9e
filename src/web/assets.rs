//! The static files, inside the binary, each at an address that changes with its content.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// One static file.
pub struct Asset {
    /// Its name under `/static/`.
    pub name: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// Its content.
    pub body: &'static [u8],
    /// Changes with the content: part of the address, and the ETag.
    pub hash: String,
    /// Where a page links to it; may be cached for ever.
    pub url: String,
}

impl Asset {
    fn new(name: &'static str, media_type: &'static str, body: &'static [u8]) -> Self {
        let digest = Sha256::digest(body);
        let hash: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let url = format!("/static/{name}?v={hash}");
        Self { name, media_type, body, hash, url }
    }
}

/// The stylesheet.
pub static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("app.css", "text/css; charset=utf-8", include_bytes!("../../static/app.css"))
});
/// What pages can do beyond forms and links.
pub static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("app.js", "text/javascript; charset=utf-8", include_bytes!("../../static/app.js"))
});
/// The icon in the browser's tab.
pub static ICON: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("favicon.svg", "image/svg+xml", include_bytes!("../../static/favicon.svg"))
});

/// The file of this name.
pub fn named(name: &str) -> Option<&'static Asset> {
    [&*STYLE, &*SCRIPT, &*ICON].into_iter().find(|asset| asset.name == name)
}
