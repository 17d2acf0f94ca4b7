//! Bytes fetched by a task, read on a blocking thread.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use overdue_core::Gap;
use tokio::sync::mpsc;

use crate::{Body, Fault};

/// Pieces that may wait for the reader. With pieces of 8 MiB a stream holds 24 MiB at most: one here, one at each end.
const PIECES_MAX: usize = 1;

enum Piece {
    Bytes(Bytes),
    End,
    Broken(Gap),
}

/// Where a task puts what it fetches.
pub(super) struct Sender(mpsc::Sender<Piece>);

impl Sender {
    /// Hands over some bytes. False: nobody reads any more, so fetch no further.
    pub(super) async fn bytes(&self, bytes: Bytes) -> bool {
        self.0.send(Piece::Bytes(bytes)).await.is_ok()
    }
    /// The end was reached, and everything came.
    pub(super) async fn end(self) {
        let _ = self.0.send(Piece::End).await;
    }
    /// It ends here, and why.
    pub(super) async fn broken(self, gap: Gap) {
        let _ = self.0.send(Piece::Broken(gap)).await;
    }
}

/// A body fed by a task through the sender. `lost` is the gap if the task dies without a word.
pub(super) fn body(size_bytes: Option<u64>, lost: Gap) -> (Sender, Body) {
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    let fault = Fault::default();
    let reader = PieceReader { pieces, at: Bytes::new(), ended: false, lost, fault: fault.clone() };
    (Sender(sender), Body::Reader { reader: Box::new(reader), size_bytes, fault })
}

struct PieceReader {
    pieces: mpsc::Receiver<Piece>,
    at: Bytes,
    ended: bool,
    lost: Gap,
    fault: Fault,
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.at.is_empty() {
                let count = self.at.len().min(buffer.len());
                self.at.copy_to_slice(&mut buffer[..count]);
                return Ok(count);
            }
            if self.ended || buffer.is_empty() {
                return Ok(0);
            }
            match self.pieces.blocking_recv() {
                Some(Piece::Bytes(bytes)) => self.at = bytes,
                Some(Piece::End) => self.ended = true,
                Some(Piece::Broken(gap)) => return Err(self.fail(gap)),
                None => return Err(self.fail(self.lost.clone())),
            }
        }
    }
}

impl PieceReader {
    fn fail(&self, gap: Gap) -> io::Error {
        let error = io::Error::other(gap.detail.clone());
        self.fault.set(gap);
        error
    }
}

#[cfg(test)]
mod tests {
    use overdue_core::{GapReason, TargetId};

    use super::*;

    fn gap(detail: &str) -> Gap {
        Gap {
            target: TargetId::from_key("t"),
            subject: "s".to_owned(),
            reason: GapReason::Truncated,
            detail: detail.to_owned(),
            permission: String::new(),
            mend: String::new(),
            open_ended: false,
        }
    }

    async fn read(body: Body) -> (Result<Vec<u8>, String>, Option<Gap>) {
        let Body::Reader { mut reader, fault, .. } = body else { panic!("not a reader") };
        let read = tokio::task::spawn_blocking(move || {
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes).map(|_| bytes).map_err(|error| error.to_string())
        });
        (read.await.unwrap(), fault.take())
    }

    #[tokio::test]
    async fn whole_broken_and_lost_streams_are_told_apart() {
        let (sender, whole) = body(None, gap("lost"));
        tokio::spawn(async move {
            for piece in ["ab", "", "c"] {
                assert!(sender.bytes(Bytes::from_static(piece.as_bytes())).await);
            }
            sender.end().await;
        });
        assert_eq!(read(whole).await, (Ok(b"abc".to_vec()), None));

        let (sender, broken) = body(None, gap("lost"));
        tokio::spawn(async move { sender.broken(gap("short")).await });
        assert_eq!(read(broken).await, (Err("short".to_owned()), Some(gap("short"))));

        let (sender, lost) = body(None, gap("lost"));
        drop(sender);
        assert_eq!(read(lost).await, (Err("lost".to_owned()), Some(gap("lost"))));
    }
}
