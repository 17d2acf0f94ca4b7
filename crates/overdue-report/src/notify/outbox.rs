//! The outbox: a folder with one `.eml` file a letter, for looking before sending and for machines without a mail server.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Delivery, Mail, Notifier};

/// Writes letters into a folder. The same message id is the same file, so writing twice leaves one.
#[derive(Clone, Debug)]
pub struct Outbox {
    folder: PathBuf,
}

impl Outbox {
    /// An outbox in `folder`, which is made when the first letter comes.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The file a letter is or would be written to.
    pub fn path_of(&self, mail: &Mail) -> PathBuf {
        self.folder.join(mail.file_name())
    }
}

#[async_trait::async_trait]
impl Notifier for Outbox {
    async fn deliver(&self, mail: &Mail) -> Delivery {
        let (folder, path, bytes) = (self.folder.clone(), self.path_of(mail), mail.bytes().to_vec());
        let shown = path.display().to_string();
        match tokio::task::spawn_blocking(move || write(&folder, &path, &bytes)).await {
            Ok(Ok(())) => Delivery::Sent { how: format!("written to {shown}") },
            Ok(Err(error)) => Delivery::Deferred { why: format!("{shown} could not be written: {error}") },
            Err(error) => Delivery::Deferred { why: format!("{shown} could not be written: {error}") },
        }
    }
}

/// Whole or not at all: a file beside it is written and flushed to the disk, then takes the name, then the folder is flushed.
fn write(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    make_folder(folder)?;
    // Letters name weak keys: the temporary file is readable by its owner alone, and the name it takes keeps that.
    let mut file = tempfile::Builder::new().prefix(".letter-").suffix(".tmp").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    #[cfg(unix)]
    std::fs::File::open(folder)?.sync_all()?;
    Ok(())
}

fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

#[cfg(test)]
mod tests {
    use super::super::{MailParts, build_mail, mail_parts_for_tests as parts};
    use super::*;

    fn files(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn the_same_message_id_is_the_same_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let outbox = Outbox::new(folder.path().join("made/when/needed"));
        let mail = build_mail(&parts()).expect("a mail");
        for _ in 0..2 {
            let Delivery::Sent { how } = outbox.deliver(&mail).await else { panic!("it must be written") };
            assert_eq!(how, format!("written to {}", outbox.path_of(&mail).display()));
        }
        let newer = build_mail(&MailParts { text: "other words", ..parts() }).expect("a mail");
        assert!(matches!(outbox.deliver(&newer).await, Delivery::Sent { .. }));
        let folder = folder.path().join("made/when/needed");
        assert_eq!(files(&folder).len(), 1, "{:?}", files(&folder));
        assert_eq!(std::fs::read(outbox.path_of(&mail)).expect("a file"), newer.bytes());
        let other = build_mail(&MailParts { message_id: "<other@x>", ..parts() }).expect("a mail");
        outbox.deliver(&other).await;
        assert_eq!(files(&folder).len(), 2);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).expect("facts").permissions().mode() & 0o777;
            assert_eq!((mode(&outbox.path_of(&mail)), mode(&folder)), (0o600, 0o700), "letters name weak keys");
        }
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_written_defers() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("file"), "in the way").expect("a file");
        let outbox = Outbox::new(folder.path().join("file/outbox"));
        let Delivery::Deferred { why } = outbox.deliver(&build_mail(&parts()).expect("a mail")).await else {
            panic!("it cannot be written")
        };
        assert!(why.contains("file/outbox/") && why.contains("could not be written"), "{why}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_in_the_way_is_replaced_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let outbox = Outbox::new(folder.path());
        let mail = build_mail(&parts()).expect("a mail");
        let elsewhere = folder.path().join("elsewhere");
        std::fs::write(&elsewhere, "precious").expect("a file");
        std::os::unix::fs::symlink(&elsewhere, outbox.path_of(&mail)).expect("a link");
        assert!(matches!(outbox.deliver(&mail).await, Delivery::Sent { .. }));
        assert_eq!(std::fs::read_to_string(elsewhere).expect("a file"), "precious");
    }
}
