//! Paths as names, and back. Names are text; paths on Unix are bytes. A byte that is no UTF-8 is written as U+FFFD and
//! two hex digits, and so is a real U+FFFD, so that two paths never share a name and a name always opens its own path.

use std::path::{Path, PathBuf};

const MARK: char = '\u{FFFD}';

/// The name of a path.
#[cfg(unix)]
pub(super) fn name_of(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = path.as_os_str().as_bytes();
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.contains(MARK)
    {
        return text.to_owned();
    }
    let mut name = String::with_capacity(bytes.len() + 16);
    let escape = |name: &mut String, bytes: &[u8]| {
        for byte in bytes {
            // Writing to a String cannot fail.
            let _ = write!(name, "{MARK}{byte:02X}");
        }
    };
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            if letter == MARK {
                escape(&mut name, MARK.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                name.push(letter);
            }
        }
        escape(&mut name, chunk.invalid());
    }
    name
}

/// The path a name was made of.
#[cfg(unix)]
pub(super) fn path_of(name: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    if !name.contains(MARK) {
        return PathBuf::from(name);
    }
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find(MARK) {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let after = &rest[at + MARK.len_utf8()..];
        match after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.extend_from_slice(MARK.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

/// The name of a path.
#[cfg(not(unix))]
pub(super) fn name_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The path a name was made of.
#[cfg(not(unix))]
pub(super) fn path_of(name: &str) -> PathBuf {
    PathBuf::from(name)
}

#[cfg(all(test, unix))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[test]
    fn every_path_has_its_own_name_and_comes_back() {
        let cases: [&[u8]; 8] = [
            b"/plain/path",
            "/naïve/日本".as_bytes(),
            b"/bad\xffbyte",
            b"/bad\xff\xfe",
            "/real\u{FFFD}FF".as_bytes(),
            b"/latin-\xe9t\xe9",
            b"/new\nline and \x1b[31m",
            b"/cut\xe2\x82",
        ];
        let mut names = Vec::new();
        for bytes in cases {
            let path = Path::new(OsStr::from_bytes(bytes));
            let name = name_of(path);
            assert_eq!(path_of(&name), path, "{name}");
            names.push(name);
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), cases.len());
    }
}
