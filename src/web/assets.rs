//! The static files: where they are, and the addresses at which pages link to
//! them, which change with their content.

use std::{
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::SystemTime,
};

use actix_web::web::Bytes;
use flate2::Compression;
use sha2::{Digest, Sha256};

use crate::web::compression;

/// The stylesheet, what pages can do beyond forms and links, and the tab's icon.
const NAMES: [&str; 3] = ["app.css", "app.js", ICON];
/// Also served where browsers look for an icon by themselves.
pub const ICON: &str = "favicon.svg";

static ASSETS: OnceLock<Vec<Asset>> = OnceLock::new();

/// One static file.
pub struct Asset {
    name: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// Its content, compressed once.
    pub gzip: Bytes,
    /// Changes with the content: part of the address.
    hash: String,
    version: FileVersion,
}

/// Size and time of the last change.
type FileVersion = (u64, Option<SystemTime>);

/// A static file can't be read.
#[derive(Debug, thiserror::Error)]
#[error("the static file {0} can't be read: {1}; HITRATE_STATIC_DIR says where its folder is")]
pub struct AssetError(PathBuf, io::Error);

/// Reads the files, once, at the start: without one in this folder, in `static`
/// where hitrate was started, or else where it was built.
///
/// # Errors
/// When one of them can't be read.
pub fn open(dir: Option<&Path>) -> Result<(), AssetError> {
    let assets = read(dir)?;
    ASSETS.get_or_init(|| assets);
    Ok(())
}

/// The file of this name.
pub fn named(name: &str) -> Option<&'static Asset> {
    all().iter().find(|asset| asset.name == name)
}

/// Where a page links to a file; may be cached for ever.
pub fn url(name: &str) -> String {
    named(name).map_or_else(String::new, |asset| format!("/static/{name}?v={}", asset.hash))
}

impl Asset {
    /// Whether the file is the one that was read at the start.
    pub fn is_unchanged(&self, metadata: &Metadata) -> bool {
        self.version == version(metadata)
    }

    /// Whether this query is the one of [`url`]: then the content never changes.
    pub fn is_hashed(&self, query: &str) -> bool {
        query.strip_prefix("v=") == Some(self.hash.as_str())
    }
}

fn all() -> &'static [Asset] {
    ASSETS.get_or_init(|| read(None).expect("a start reads them first"))
}

fn read(dir: Option<&Path>) -> Result<Vec<Asset>, AssetError> {
    let here = Path::new("static");
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join(here);
    let found = || if here.join(NAMES[0]).is_file() { here.to_owned() } else { built() };
    let dir = dir.map_or_else(found, Path::to_owned);
    NAMES.into_iter().map(|name| asset(&dir, name)).collect()
}

fn asset(dir: &Path, name: &'static str) -> Result<Asset, AssetError> {
    let path = dir.join(name);
    let read = fs::metadata(&path).and_then(|metadata| Ok((version(&metadata), fs::read(&path)?)));
    let (version, content) = read.map_err(|error| AssetError(path.clone(), error))?;
    let gzip = compression::gzip(&content, Compression::best());
    let digest = Sha256::digest(content);
    let hash = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    Ok(Asset { name, path, gzip, hash, version })
}

fn version(metadata: &Metadata) -> FileVersion {
    (metadata.len(), metadata.modified().ok())
}
