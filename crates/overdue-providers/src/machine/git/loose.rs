//! Loose objects: one zlib stream in one file each.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use gix_hash::{ObjectId, oid};
use gix_object::Kind;
use gix_zlib::{Decompress, FlushDecompress, Status};

use super::super::open::{Links, open_regular};
use super::ReadError;

/// `blob 18446744073709551615\0` and some more.
const HEADER_BYTES_MAX: usize = 64;

/// A loose object of a store, seen once.
pub(super) struct Loose {
    pub(super) id: ObjectId,
    pub(super) kind: Kind,
    pub(super) size: u64,
}

/// What a look at the loose objects of one store gave.
#[derive(Default)]
pub(super) struct LooseScan {
    pub(super) objects: Vec<Loose>,
    /// Objects whose header cannot be read, and why.
    pub(super) damaged: Vec<(PathBuf, String)>,
    /// Folders and files that could not be opened.
    pub(super) refused: Vec<(PathBuf, io::Error)>,
}

/// Where a loose object would lie.
pub(super) fn path_of(objects: &Path, id: &oid) -> PathBuf {
    let hex = id.to_hex().to_string();
    objects.join(&hex[..2]).join(&hex[2..])
}

/// Lists the loose objects under an `objects` folder, in the order of their ids.
pub(super) fn scan(objects: &Path, hash: gix_hash::Kind) -> LooseScan {
    let mut scan = LooseScan::default();
    for first in 0..=255_u8 {
        let folder = objects.join(format!("{first:02x}"));
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => continue,
            Err(error) => {
                scan.refused.push((folder, error));
                continue;
            }
        };
        let before = scan.objects.len();
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    scan.refused.push((folder.clone(), error));
                    break;
                }
            };
            let name = entry.file_name();
            let Some(rest) = name.to_str().filter(|rest| rest.len() + 2 == hash.len_in_hex()) else { continue };
            let Ok(id) = ObjectId::from_hex(format!("{first:02x}{rest}").as_bytes()) else { continue };
            let path = entry.path();
            match Stream::open(&path) {
                Ok(stream) => scan.objects.push(Loose { id, kind: stream.kind, size: stream.size }),
                Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
                Err(ReadError::Io(error)) if error.kind() == io::ErrorKind::PermissionDenied => scan.refused.push((path, error)),
                Err(error) => scan.damaged.push((path, error.to_string())),
            }
        }
        scan.objects[before..].sort_unstable_by_key(|object| object.id);
    }
    scan
}

/// A loose object, unfolding as it is read.
pub(super) struct Stream {
    pub(super) kind: Kind,
    /// As its header claims.
    pub(super) size: u64,
    source: File,
    inflate: Decompress,
    input: Box<[u8]>,
    /// What of `input` is not yet unfolded.
    fresh: std::ops::Range<usize>,
    /// Bytes of the object that came with the header.
    head: [u8; HEADER_BYTES_MAX],
    head_left: std::ops::Range<usize>,
    given: u64,
    ended: bool,
}

impl Stream {
    pub(super) fn open(path: &Path) -> Result<Self, ReadError> {
        let (source, facts) = open_regular(path, Links::Follow).map_err(ReadError::Io)?;
        let input = vec![0; facts.len().clamp(64, 64 * 1024) as usize].into_boxed_slice();
        let mut stream = Self {
            kind: Kind::Blob,
            size: 0,
            source,
            inflate: Decompress::new(),
            input,
            fresh: 0..0,
            head: [0; HEADER_BYTES_MAX],
            head_left: 0..0,
            given: 0,
            ended: false,
        };
        let mut head = [0; HEADER_BYTES_MAX];
        let mut filled = 0;
        while filled < head.len() && !stream.ended {
            let written = stream.unfold(&mut head[filled..]).map_err(|error| ReadError::Corrupt(error.to_string()))?;
            filled += written;
        }
        let (kind, size, length) = gix_object::decode::loose_header(&head[..filled])
            .map_err(|error| ReadError::Corrupt(format!("its header cannot be read: {}", super::pack::chain(&error))))?;
        stream.kind = kind;
        stream.size = size;
        stream.head = head;
        stream.head_left = length.min(filled)..filled;
        Ok(stream)
    }

    /// Unfolds some bytes. Zero only at the end of the object, or for an empty buffer.
    fn unfold(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while !self.ended && !out.is_empty() {
            if self.fresh.is_empty() {
                let length = self.source.read(&mut self.input)?;
                if length == 0 {
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends before the object does"));
                }
                self.fresh = 0..length;
            }
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self
                .inflate
                .decompress(&self.input[self.fresh.clone()], out, FlushDecompress::None)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, super::pack::chain(&error)))?;
            let taken = (self.inflate.total_in() - before_in) as usize;
            let written = (self.inflate.total_out() - before_out) as usize;
            self.fresh.start += taken;
            if status == Status::StreamEnd {
                self.ended = true;
            } else if taken == 0 && written == 0 && !self.fresh.is_empty() {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "its packed bytes make no sense"));
            }
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let length = if self.head_left.is_empty() {
            self.unfold(out)?
        } else {
            let length = out.len().min(self.head_left.len());
            out[..length].copy_from_slice(&self.head[self.head_left.start..self.head_left.start + length]);
            self.head_left.start += length;
            length
        };
        self.given += length as u64;
        if self.given > self.size {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than its header says"));
        }
        if length == 0 && !out.is_empty() && self.given < self.size {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is shorter than its header says"));
        }
        Ok(length)
    }
}
