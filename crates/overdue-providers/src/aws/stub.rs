//! For tests: a server that gives prepared answers, one a connection, and sessions that talk to it.

use std::sync::{Arc, Mutex};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_types::retry::RetryConfig;
use overdue_core::{AccountId, ProviderKind, Target, TargetKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::calls::Calls;
use super::download::Http;
use super::session::{Partition, Session, Wire};

/// An answer as it goes over the wire.
pub(super) fn answer(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}", body.len()).into_bytes()
}

/// Serves the answers in their order, the last one again and again. Gives the address and the heads of what was asked.
pub(super) async fn serve(answers: Vec<Vec<u8>>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    tokio::spawn(async move {
        let mut answers = answers.into_iter().peekable();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            let mut buffer = [0; 4096];
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut buffer).await {
                    Ok(count) if count > 0 => head.extend_from_slice(&buffer[..count]),
                    _ => break,
                }
            }
            log.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
            let Some(next) = answers.next() else { return };
            if answers.peek().is_none() {
                answers = vec![next.clone()].into_iter().peekable();
            }
            let _ = stream.write_all(&next).await;
            let _ = stream.shutdown().await;
        }
    });
    (url, asked)
}

/// A session whose every call goes to this address.
pub(super) fn session(url: &str) -> Session {
    let credentials = Credentials::new("AKIATEST", "stub-secret", Some("stub-session-token".to_owned()), None, "stub");
    let config = SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .endpoint_url(url)
        .region(aws_types::region::Region::from_static("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::standard().with_max_attempts(1))
        .build();
    let wire = Wire { config, calls: Calls::default(), http: Arc::new(Http::new([url.to_owned()], false)) };
    Session::new(AccountId::new("111111111111"), Partition::of_region("eu-west-1"), wire)
}

/// A target to file gaps under.
pub(super) fn target(kind: TargetKind, name: &str) -> Target {
    let region = Some(overdue_core::Region::new("eu-west-1"));
    Target { provider: ProviderKind::Aws, account: AccountId::new("111111111111"), region, kind, name: name.to_owned() }
}
