//! One letter as the bytes of a mail, made so that no text in it can become anything but text.
//!
//! Bodies are always base64 and headers are cleaned and then checked: the mail library we build with sends bare line
//! breaks of a 7-bit body through (RUSTSEC-2026-0561) and panics on one in a display name.

use std::fmt;

use jiff::Timestamp;
use lettre::address::{Address, Envelope};
use lettre::message::header::{ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox, Message, MultiPart, SinglePart};
use overdue_core::{Code, Owner};
use sha2::{Digest, Sha256};

use crate::clean::{header_text, visible};

/// A subject longer than this is cut.
const SUBJECT_CHARS_MAX: usize = 200;
/// A display name longer than this is cut.
const NAME_CHARS_MAX: usize = 80;
/// Larger mails are refused by many servers, and read by nobody.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a mail is made of.
#[derive(Clone, Copy, Debug)]
pub struct MailParts<'a> {
    /// Sender address.
    pub from: &'a str,
    /// Sender's display name; may be empty.
    pub from_name: &'a str,
    /// The one recipient's address.
    pub to: &'a str,
    /// The recipient's display name; may be empty, and may be anything a tag can hold.
    pub to_name: &'a str,
    /// `<left@right>`: the same whenever this letter is made again.
    pub message_id: &'a str,
    /// One line.
    pub subject: &'a str,
    /// Plain text.
    pub text: &'a str,
    /// The same in HTML.
    pub html: &'a str,
    /// Date header.
    pub date: Timestamp,
    /// The job's name, for a header people can filter on.
    pub job: &'a str,
    /// Verdict codes in it, for a header people can filter on.
    pub codes: &'a [Code],
}

/// A mail, ready to go: its bytes are checked.
#[derive(Clone)]
pub struct Mail {
    message_id: String,
    envelope: Envelope,
    bytes: Vec<u8>,
}

impl Mail {
    /// Its message id, with angle brackets.
    pub fn message_id(&self) -> &str {
        &self.message_id
    }
    /// Whom it goes to.
    pub fn to(&self) -> &str {
        self.envelope.to().first().map_or("", AsRef::as_ref)
    }
    /// Headers and body, with CRLF at the end of each line, in ASCII.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    pub(super) fn envelope(&self) -> &Envelope {
        &self.envelope
    }
    /// A name no other message id has, readable at its beginning.
    pub(super) fn file_name(&self) -> String {
        format!("{}-{}.eml", crate::clean::file_slug(&self.message_id, 80), &digest(&self.message_id)[..12])
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("message_id", &self.message_id).field("to", &self.to()).field("bytes", &self.bytes.len()).finish()
    }
}

/// Why no mail can be made of these parts. It concerns this letter alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailError {
    /// Not an address a mail can go to or come from.
    #[error("`{address}` is no mail address that can be written to")]
    Address {
        /// What was given, made harmless.
        address: String,
    },
    /// Not a message id.
    #[error("`{id}` is no message id; it must be `<left@right>` of letters, digits and `.-_+=/`")]
    MessageId {
        /// What was given, made harmless.
        id: String,
    },
    /// The body is beyond what servers take.
    #[error("the letter has {bytes} bytes; the most is {BODY_BYTES_MAX}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// A fault of ours, found before anything was sent.
    #[error("the mail could not be put together: {what}")]
    Broken {
        /// What.
        what: String,
    },
}

/// Makes the mail.
///
/// # Errors
/// When an address or the message id is none, or the letter is too large. Any text is fine elsewhere.
pub fn build_mail(parts: &MailParts<'_>) -> Result<Mail, MailError> {
    let size = parts.text.len() + parts.html.len();
    if size > BODY_BYTES_MAX {
        return Err(MailError::TooLarge { bytes: size });
    }
    check_message_id(parts.message_id)?;
    let from = address(parts.from)?;
    let to = address(parts.to)?;
    let envelope = Envelope::new(Some(from.clone()), vec![to.clone()]).map_err(broken)?;
    let id = digest(parts.message_id);
    let host = parts.from.rsplit('@').next().unwrap_or("localhost");
    let codes: Vec<&str> = parts.codes.iter().map(|code| code.as_str()).collect();
    let job = header_text(&ascii(parts.job), NAME_CHARS_MAX);
    let list = crate::clean::file_slug(parts.job, 40);
    let body = MultiPart::alternative()
        .boundary(format!("overdue-{}", &id[..32]))
        .singlepart(part(ContentType::TEXT_PLAIN, parts.text)?)
        .singlepart(part(ContentType::TEXT_HTML, parts.html)?);
    let message = Message::builder()
        .from(Mailbox::new(name(parts.from_name, parts.from), from))
        .to(Mailbox::new(name(parts.to_name, parts.to), to))
        .subject(header_text(parts.subject, SUBJECT_CHARS_MAX))
        .message_id(Some(parts.message_id.to_owned()))
        .date(parts.date.into())
        .header(AutoSubmitted)
        .header(ListId(format!("Overdue <{}.overdue.{host}>", if list.is_empty() { "letters" } else { &list })))
        .header(OverdueJob(job))
        .header(OverdueVerdicts(codes.join(", ")))
        .multipart(body)
        .map_err(broken)?;
    let bytes = message.formatted();
    check_bytes(&bytes)?;
    Ok(Mail { message_id: parts.message_id.to_owned(), envelope, bytes })
}

fn broken(error: impl fmt::Display) -> MailError {
    MailError::Broken { what: error.to_string() }
}

fn part(kind: ContentType, text: &str) -> Result<SinglePart, MailError> {
    // The canonical line end of text in mail; base64 keeps it from meaning anything on the way.
    let text: String = text.lines().flat_map(|line| [line, "\r\n"]).collect();
    let body = Body::new_with_encoding(text, ContentTransferEncoding::Base64)
        .map_err(|_| MailError::Broken { what: "a body refused base64".to_owned() })?;
    Ok(SinglePart::builder().header(kind).body(body))
}

/// A display name without anything that could end it: quotes, brackets and what is active are gone. None where the name
/// only says the address again.
fn name(text: &str, address: &str) -> Option<String> {
    let owner = Owner { name: text.to_owned(), address: Some(address.to_owned()) };
    let text = crate::words::person(&owner);
    if text.eq_ignore_ascii_case(address) {
        return None;
    }
    let text: String =
        visible(&text, NAME_CHARS_MAX).chars().filter(|c| !matches!(c, '"' | '\\' | '<' | '>' | '@' | ',' | ';' | ':')).collect();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

fn ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

/// An address in the narrow form every server takes: one `@`, no quotes, no comments, letters of ASCII.
fn address(text: &str) -> Result<Address, MailError> {
    let refuse = || MailError::Address { address: visible(text, 100) };
    let (user, host) = text.rsplit_once('@').ok_or_else(refuse)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let user_fits = (1..=64).contains(&user.len())
        && !user.starts_with('-')
        && user.split('.').all(|piece| !piece.is_empty() && piece.chars().all(plain));
    let host_fits = (1..=253).contains(&host.len())
        && host.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        });
    if !user_fits || !host_fits {
        return Err(refuse());
    }
    Address::new(user, host).map_err(|_| refuse())
}

fn check_message_id(id: &str) -> Result<(), MailError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let inner = id.strip_prefix('<').and_then(|id| id.strip_suffix('>')).and_then(|id| id.split_once('@'));
    match inner {
        Some((left, right))
            if !left.is_empty() && !right.is_empty() && id.len() <= 250 && left.chars().all(plain) && right.chars().all(plain) =>
        {
            Ok(())
        }
        _ => Err(MailError::MessageId { id: visible(id, 100) }),
    }
}

/// The last look before anything leaves: ASCII, every line ended by CRLF and no other use of either, no line longer than
/// servers take, and no header but those we made.
fn check_bytes(bytes: &[u8]) -> Result<(), MailError> {
    const HEADERS: [&str; 13] = [
        "from",
        "to",
        "subject",
        "message-id",
        "date",
        "auto-submitted",
        "list-id",
        "x-overdue-job",
        "x-overdue-verdicts",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
        "content-disposition",
    ];
    let fail = |what: &str| Err(MailError::Broken { what: what.to_owned() });
    let text = match std::str::from_utf8(bytes) {
        Ok(text) if text.is_ascii() && !text.contains('\0') => text,
        _ => return fail("a byte that is no ASCII"),
    };
    let mut in_headers = true;
    let mut seen = std::collections::BTreeSet::new();
    for line in text.split("\r\n") {
        if line.contains(['\r', '\n']) {
            return fail("a bare line break");
        }
        if line.len() > 998 {
            return fail("a line too long");
        }
        if in_headers {
            if line.is_empty() {
                in_headers = false;
            } else if !line.starts_with([' ', '\t']) {
                let header = line.split(':').next().unwrap_or("").to_ascii_lowercase();
                if !HEADERS.contains(&header.as_str()) || !seen.insert(header) {
                    return fail("a header that is not ours, or twice");
                }
            }
        }
    }
    Ok(())
}

/// SHA-256 in hex.
fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

macro_rules! text_header {
    ($(#[$doc:meta])* $type:ident($name:literal)) => {
        $(#[$doc])*
        #[derive(Clone)]
        struct $type(String);

        impl Header for $type {
            fn name() -> HeaderName {
                HeaderName::new_from_ascii_str($name)
            }
            fn parse(text: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
                Ok(Self(text.to_owned()))
            }
            fn display(&self) -> HeaderValue {
                HeaderValue::new(Self::name(), self.0.clone())
            }
        }
    };
}

text_header!(
    /// Lets people and programs file all letters of one job.
    ListId("List-Id")
);
text_header!(
    /// The job.
    OverdueJob("X-Overdue-Job")
);
text_header!(
    /// The codes of design and docs/verdicts.
    OverdueVerdicts("X-Overdue-Verdicts")
);

/// Keeps holiday answers away (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }
    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }
    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

#[cfg(test)]
pub(super) mod tests;
