//! The deployment's fingerprint key: made at the first run, kept apart from the store.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use overdue_detect::FingerprintKey;

use crate::places::Places;

/// Names another file for the key, such as a mounted secret shared by several machines.
const FILE_VARIABLE: &str = "OVERDUE_FINGERPRINT_KEY_FILE";

/// Reads the key, or makes one where there is none yet.
pub(crate) fn load(places: &Places) -> Result<FingerprintKey> {
    let path = std::env::var_os(FILE_VARIABLE).map_or_else(|| places.config.join("fingerprint.key"), PathBuf::from);
    match std::fs::read(&path) {
        Ok(text) => parse(&text).with_context(|| format!("the fingerprint key {} is damaged; restore it from a backup", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => make(&path),
        Err(error) => Err(error).with_context(|| format!("cannot read the fingerprint key {}", path.display())),
    }
}

pub(crate) fn parse(text: &[u8]) -> Result<FingerprintKey> {
    let text = std::str::from_utf8(text)?.trim();
    if text.len() != 64 {
        bail!("it must hold 64 hex digits");
    }
    let mut bytes = [0_u8; 32];
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16)?;
    }
    Ok(FingerprintKey::from_bytes(bytes))
}

/// A key that is forgotten: fingerprints of one process, compared with each other alone.
pub(crate) fn passing() -> Result<FingerprintKey> {
    random().map(FingerprintKey::from_bytes)
}

/// A new key as a file holds it.
pub(crate) fn random_hex() -> Result<String> {
    Ok(random()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn random() -> Result<[u8; 32]> {
    let mut bytes = [0_u8; 32];
    // The kernel's generator: always there on the systems we run on, and no dependency.
    std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes)).context("no source of randomness")?;
    Ok(bytes)
}

fn make(path: &Path) -> Result<FingerprintKey> {
    let text = random_hex()?;
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut file = tempfile::Builder::new().prefix(".key-").tempfile_in(folder)?;
    std::io::Write::write_all(&mut file, text.as_bytes())?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => parse(text.as_bytes()),
        // Another process made one in the same moment: that one counts.
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => parse(&std::fs::read(path)?),
        Err(error) => Err(error.error).with_context(|| format!("cannot write the fingerprint key {}", path.display())),
    }
}
