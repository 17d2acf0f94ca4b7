//! A mail server: STARTTLS that is required, TLS from the first byte, or, for a relay on this machine, none.
//!
//! Every exchange has its time, and the whole has one too, so a server that hangs costs half a minute. A refusal of our
//! sign-in is not a refusal of the letter: the letter is deferred, and nothing is lost.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use overdue_core::TlsMode;
use tokio::sync::Mutex;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{Delivery, Mail, Notifier};
use crate::clean::visible;

/// How long we wait.
#[derive(Clone, Copy)]
struct Times {
    /// Whether the last letter's connection still stands.
    noop: Duration,
    /// Name resolution, the TCP handshake, TLS and the greeting.
    connect: Duration,
    /// AUTH.
    sign_in: Duration,
    /// One whole letter, from connecting to the answer after its last byte.
    letter: Duration,
}

const TIMES: Times = Times {
    noop: Duration::from_secs(2),
    connect: Duration::from_secs(12),
    sign_in: Duration::from_secs(8),
    letter: Duration::from_secs(28),
};

/// A certificate file larger than this is something else.
const CA_BYTES_MAX: u64 = 1024 * 1024;

/// The password of a mail account. It can be used, not shown: no Debug, no Display, no copy.
pub struct MailPassword(Zeroizing<String>);

impl MailPassword {
    /// Wraps it; the caller read it from a file or the environment.
    pub fn new(password: String) -> Self {
        Self(Zeroizing::new(password))
    }
}

/// A mail server to send through.
pub struct SmtpConfig {
    /// Host name, also checked in its certificate.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How the connection is secured.
    pub security: TlsMode,
    /// User and password; `None`: no AUTH.
    pub login: Option<(String, MailPassword)>,
    /// A PEM file with one or more authorities to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// The name we greet with; empty: `localhost`.
    pub hello: String,
}

/// A server that cannot be used at all, told before anything is sent.
#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    /// No TLS to another machine.
    #[error("`{host}` is not this machine: a mail server elsewhere needs `starttls` or `implicit` TLS")]
    PlainToElsewhere {
        /// The host.
        host: String,
    },
    /// The CA file cannot be used.
    #[error("the certificate file {path} cannot be used: {why}")]
    Certificate {
        /// The file.
        path: String,
        /// Why.
        why: String,
    },
    /// TLS itself could not be set up.
    #[error("TLS cannot be set up for `{host}`: {why}")]
    Tls {
        /// The host.
        host: String,
        /// Why.
        why: String,
    },
}

/// Sends letters through a mail server, one connection for all of them while it lasts.
pub struct Smtp {
    host: String,
    port: u16,
    security: TlsMode,
    tls: Option<TlsParameters>,
    login: Option<Credentials>,
    hello: ClientId,
    connection: Mutex<Option<AsyncSmtpConnection>>,
    times: Times,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("host", &self.host).field("port", &self.port).field("security", &self.security).finish_non_exhaustive()
    }
}

impl Smtp {
    /// Checks the configuration; connects to nothing.
    ///
    /// # Errors
    /// When TLS is off for another machine, or a certificate cannot be read.
    pub fn new(config: SmtpConfig) -> Result<Self, SmtpError> {
        let SmtpConfig { host, port, security, login, ca_file, hello } = config;
        if security == TlsMode::None && !is_this_machine(&host) {
            return Err(SmtpError::PlainToElsewhere { host });
        }
        let tls = match security {
            TlsMode::None => None,
            TlsMode::StartTls | TlsMode::Implicit => {
                let mut builder = TlsParameters::builder(host.clone());
                for certificate in ca_file.map(read_certificates).transpose()?.into_iter().flatten() {
                    builder = builder.add_root_certificate(certificate);
                }
                Some(builder.build().map_err(|error| SmtpError::Tls { host: host.clone(), why: chain(&error) })?)
            }
        };
        let login = login.map(|(user, password)| Credentials::new(user, password.0.to_string()));
        let hello = ClientId::Domain(if hello.is_empty() { "localhost".to_owned() } else { hello });
        Ok(Self { host, port, security, tls, login, hello, connection: Mutex::new(None), times: TIMES })
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, String> {
        let at = format!("{}:{}", self.host, self.port);
        let implicit = self.tls.clone().filter(|_| self.security == TlsMode::Implicit);
        let mut connection = timeout(self.times.connect, async {
            let server = (self.host.as_str(), self.port);
            let mut connection = AsyncSmtpConnection::connect_tokio1(server, Some(self.times.connect), &self.hello, implicit, None)
                .await
                .map_err(|error| format!("no connection to {at}: {}", chain(&error)))?;
            if let (TlsMode::StartTls, Some(tls)) = (&self.security, &self.tls) {
                if !connection.can_starttls() {
                    return Err(format!("{at} does not offer STARTTLS, and nothing is sent without it"));
                }
                connection
                    .starttls(tls.clone(), &self.hello)
                    .await
                    .map_err(|error| format!("STARTTLS with {at} failed: {}", chain(&error)))?;
            }
            Ok(connection)
        })
        .await
        .map_err(|_| format!("{at} did not answer within {} seconds", self.times.connect.as_secs()))??;
        if let Some(login) = &self.login {
            timeout(self.times.sign_in, connection.auth(&[Mechanism::Plain, Mechanism::Login], login))
                .await
                .map_err(|_| format!("{at} did not answer our sign-in within {} seconds", self.times.sign_in.as_secs()))?
                .map_err(|error| format!("{at} refused our sign-in: {}", chain(&error)))?;
        }
        Ok(connection)
    }

    async fn send(&self, mail: &Mail) -> Delivery {
        let mut slot = self.connection.lock().await;
        // Taken out, so that a connection in an unknown state is never used again: it goes back only after success. It is
        // asked whether it still stands before the letter, never after: a letter that may have been taken is not repeated.
        let mut kept = slot.take();
        if let Some(connection) = &mut kept
            && !matches!(timeout(self.times.noop, connection.test_connected()).await, Ok(true))
        {
            kept = None;
        }
        let connection = match kept {
            Some(connection) => Ok(connection),
            None => self.connect().await,
        };
        let mut connection = match connection {
            Ok(connection) => connection,
            Err(why) => return Delivery::Deferred { why },
        };
        match connection.send(mail.envelope(), mail.bytes()).await {
            Ok(response) => {
                let answer = visible(&response.message().collect::<Vec<_>>().join(" "), 300);
                *slot = Some(connection);
                Delivery::Sent { how: format!("{}:{} took it: {} {answer}", self.host, self.port, response.code()) }
            }
            Err(error) if error.is_permanent() => Delivery::Refused { why: chain(&error) },
            Err(error) => Delivery::Deferred { why: chain(&error) },
        }
    }
}

#[async_trait::async_trait]
impl Notifier for Smtp {
    async fn deliver(&self, mail: &Mail) -> Delivery {
        match timeout(self.times.letter, self.send(mail)).await {
            Ok(delivery) => delivery,
            Err(_) => {
                Delivery::Deferred { why: format!("{}:{} took longer than {} seconds", self.host, self.port, self.times.letter.as_secs()) }
            }
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Every certificate of a PEM file.
fn read_certificates(path: PathBuf) -> Result<Vec<Certificate>, SmtpError> {
    const END: &str = "-----END CERTIFICATE-----";
    let fail = |why: String| SmtpError::Certificate { path: path.display().to_string(), why };
    let size = std::fs::metadata(&path).map_err(|error| fail(error.to_string()))?.len();
    if size > CA_BYTES_MAX {
        return Err(fail(format!("larger than {CA_BYTES_MAX} bytes")));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| fail(error.to_string()))?;
    let certificates: Result<Vec<_>, _> = text
        .split_inclusive(END)
        .filter(|block| block.contains(END))
        .map(|block| Certificate::from_pem(block.as_bytes()).map_err(|error| fail(chain(&error))))
        .collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(fail("it holds no certificate in PEM form".to_owned())),
        other => other,
    }
}

/// The error and what is behind it, made harmless: a server's words are in it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut inner = error.source();
    while let Some(error) = inner {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        inner = error.source();
    }
    visible(&text, 500)
}

#[cfg(test)]
mod tests;
