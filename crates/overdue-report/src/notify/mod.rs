//! Delivery: a letter that exists as a [`Mail`] goes to a mail server or into a folder.
//!
//! Nothing here decides whether a letter is due or was sent; the caller keeps that. Delivering twice is harmless: the
//! message id is the caller's and the same, so a folder holds one file and a mailbox can drop the copy.

mod mail;
mod outbox;
mod smtp;

pub use mail::{Mail, MailError, MailParts, build_mail};
pub use outbox::Outbox;
pub use smtp::{MailPassword, Smtp, SmtpConfig, SmtpError};

/// Somewhere a letter can go.
#[async_trait::async_trait]
pub trait Notifier: Send + Sync {
    /// Delivers one letter, and says what became of it. Comes back within half a minute, whatever the other side does.
    async fn deliver(&self, mail: &Mail) -> Delivery;
}

/// What became of one letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It was taken: by a server, or into a folder. Do not send it again.
    Sent {
        /// By whom and where to, in words.
        how: String,
    },
    /// This letter will not be taken, however often it is tried: the server refused its address or its content.
    Refused {
        /// In the server's words.
        why: String,
    },
    /// Not now: no connection, no sign-in, a temporary refusal, no space. Try again.
    Deferred {
        /// In words.
        why: String,
    },
}

#[cfg(test)]
fn mail_parts_for_tests() -> MailParts<'static> {
    mail::tests::parts()
}
