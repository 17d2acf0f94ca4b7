//! Code packages and layers, from the signed links Lambda hands out.
//!
//! A link is an address that an answer names, so it is not trusted: https to a host of AWS's own, or a host the
//! configuration names as an endpoint; no redirects; no address inside our own network. What comes is compared with the
//! length and the SHA-256 that were declared. A link carries its own permission in its query and is never logged or kept.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use overdue_core::{Gap, GapReason, Target};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use sha2::{Digest, Sha256};
use url::{Host, Url};

use super::calls::{Calls, DOWNLOAD_BYTES, DOWNLOADS};
use super::errors::{Refusal, mend_of, plain};
use super::{permissions, signed, stream};
use crate::Body;

/// Up to this size a download is held in memory, so that a broken one can be tried again.
const HELD_BYTES_MAX: u64 = 64 << 20;
/// Lambda takes no package near this size.
const DOWNLOAD_BYTES_MAX: u64 = 1 << 30;
/// Tries of one download.
const ATTEMPTS_MAX: u32 = 5;
const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// Longest silence between two pieces.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// A download may take this long, and a second more for each 64 KiB.
const DOWNLOAD_TIME_MAX: Duration = Duration::from_secs(60);
/// The names of this machine to itself.
const THIS_MACHINE: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];
/// Hosts of AWS's own end like this.
const AWS_SUFFIXES: [&str; 2] = [".amazonaws.com", ".amazonaws.com.cn"];

/// The HTTP client for everything that is no SDK call, made when first needed.
pub(super) struct Http {
    /// Hosts the configuration names as endpoints.
    configured: BTreeSet<String>,
    /// Whether AWS's hosts may stand at private addresses, as behind an interface endpoint of a VPC.
    private_addresses: bool,
    held_bytes_max: u64,
    client: OnceLock<Result<reqwest::Client, String>>,
}

/// A thing to download.
pub(super) struct Link {
    pub(super) url: String,
    /// Declared SHA-256 in base64.
    pub(super) sha256: Option<String>,
    pub(super) size_bytes: Option<u64>,
}

impl Http {
    pub(super) fn new(endpoints: impl IntoIterator<Item = String>, private_addresses: bool) -> Self {
        let hosts = endpoints.into_iter().filter_map(|url| Url::parse(&url).ok()?.host_str().map(str::to_ascii_lowercase));
        let mut configured: BTreeSet<String> = hosts.collect();
        // An emulator on this machine may call itself by another of its names.
        if THIS_MACHINE.iter().any(|name| configured.contains(*name)) {
            configured.extend(THIS_MACHINE.map(str::to_owned));
        }
        Self { configured, private_addresses, held_bytes_max: HELD_BYTES_MAX, client: OnceLock::new() }
    }

    pub(super) fn client(&self) -> Result<&reqwest::Client, Refusal> {
        let made = self.client.get_or_init(|| {
            reqwest::Client::builder()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_TIME_MAX)
                .read_timeout(SILENCE_MAX)
                .referer(false)
                .user_agent(concat!("overdue/", env!("CARGO_PKG_VERSION")))
                .dns_resolver(Arc::new(Resolver { guarded: !self.private_addresses, configured: self.configured.clone() }))
                .build()
                .map_err(|error| error.to_string())
        });
        made.as_ref()
            .map_err(|why| Refusal::new(GapReason::Internal, format!("no HTTP client: {}", plain(why)), mend_of(GapReason::Internal)))
    }

    /// Whether a link may be followed; the error says why not, without its query.
    fn check(&self, link: &str) -> Result<Url, Refusal> {
        let refuse = |why: String| {
            Err(Refusal::new(
                GapReason::ProviderFault,
                why,
                "Nothing was contacted; if this is an emulator, name it by AWS_ENDPOINT_URL_S3",
            ))
        };
        let Ok(url) = Url::parse(link) else { return refuse("a download link that is no address".to_owned()) };
        let host = url.host_str().unwrap_or_default().to_ascii_lowercase();
        if matches!(url.scheme(), "http" | "https") && self.configured.contains(&host) {
            return Ok(url);
        }
        let of_aws = matches!(url.host(), Some(Host::Domain(_))) && is_of_aws(&host);
        if url.scheme() == "https"
            && of_aws
            && url.port_or_known_default() == Some(443)
            && url.username().is_empty()
            && url.password().is_none()
        {
            return Ok(url);
        }
        refuse(format!("a download link to {}://{}, which is not AWS's", plain(url.scheme()), plain(&host)))
    }

    /// Downloads. Small ones are held and tried again when they break; large ones stream, and a break is their fault.
    pub(super) async fn download(&self, link: Link, calls: &Calls, target: &Target, subject: &str) -> Result<Body, Gap> {
        self.try_download(link, calls, target, subject).await.map_err(|refusal| refusal.gap(target, subject))
    }

    async fn try_download(&self, link: Link, calls: &Calls, target: &Target, subject: &str) -> Result<Body, Refusal> {
        let url = self.check(&link.url)?;
        let client = self.client()?;
        let mut attempt = 1;
        loop {
            let (refusal, again) = match begin(client, &url, calls).await {
                Err(failed) => failed,
                Ok(response) => {
                    let length = response.content_length();
                    let expected = length.or(link.size_bytes);
                    if expected.is_some_and(|size| size > DOWNLOAD_BYTES_MAX) {
                        let detail = format!("{} bytes; the limit is {DOWNLOAD_BYTES_MAX}", expected.unwrap_or_default());
                        return Err(Refusal::new(GapReason::TooLarge, detail, "Read it by hand, or accept the gap"));
                    }
                    let mut pieces = Pieces { response, length, sha256: link.sha256.clone(), digest: Sha256::new(), seen: 0 };
                    match length {
                        Some(size) if size <= self.held_bytes_max => match pieces.hold(size, calls).await {
                            Ok(bytes) => return Ok(Body::Bytes(bytes)),
                            Err(refusal) => (refusal, true),
                        },
                        _ => return Ok(pieces.stream(calls.clone(), target, subject)),
                    }
                }
            };
            if !again || attempt == ATTEMPTS_MAX {
                return Err(refusal);
            }
            tokio::time::sleep(signed::backoff(attempt)).await;
            attempt += 1;
        }
    }
}

/// Asks for a link, up to the head of the answer. The error says whether another try may help.
async fn begin(client: &reqwest::Client, url: &Url, calls: &Calls) -> Result<reqwest::Response, (Refusal, bool)> {
    calls.add(DOWNLOADS, 1);
    let asked = tokio::time::timeout(DOWNLOAD_TIME_MAX, client.get(url.clone()).send()).await;
    let response = match asked {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err((broken_off(GapReason::Unreachable, network_text(error)), true)),
        Err(_) => return Err((broken_off(GapReason::Unreachable, "no answer in time".to_owned()), true)),
    };
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let reason = match status.as_u16() {
        403 => GapReason::Denied,
        404 | 410 => GapReason::Vanished,
        429 | 503 => GapReason::Throttled,
        _ => GapReason::ProviderFault,
    };
    let detail = match status.is_redirection() {
        true => format!("the download link answers with a redirect (HTTP status {}), which is not followed", status.as_u16()),
        false => format!("the download link answers with HTTP status {}", status.as_u16()),
    };
    let again = status.is_server_error() || status.as_u16() == 429;
    let mut refusal = Refusal::new(reason, detail, mend_of(reason));
    if reason == GapReason::Denied {
        // The link itself grants the read; what can still forbid it stands between us and S3.
        refusal.permission = permissions::GET_OBJECT.action;
        refusal.mend = "Let the proxy, or the policy of the VPC's S3 endpoint, allow reads of Lambda's own buckets".to_owned();
    }
    Err((refusal, again))
}

fn broken_off(reason: GapReason, why: String) -> Refusal {
    Refusal::new(reason, format!("the download broke off: {why}"), mend_of(reason))
}

/// An answer on its way, measured as it comes.
struct Pieces {
    response: reqwest::Response,
    length: Option<u64>,
    sha256: Option<String>,
    digest: Sha256,
    seen: u64,
}

impl Pieces {
    async fn next(&mut self, calls: &Calls) -> Result<Option<Bytes>, Refusal> {
        match self.response.chunk().await {
            Ok(Some(bytes)) => {
                self.seen += bytes.len() as u64;
                self.digest.update(&bytes);
                calls.add(DOWNLOAD_BYTES, bytes.len() as u64);
                if self.seen > DOWNLOAD_BYTES_MAX {
                    let detail = format!("more than {DOWNLOAD_BYTES_MAX} bytes");
                    return Err(Refusal::new(GapReason::TooLarge, detail, "Read it by hand, or accept the gap"));
                }
                Ok(Some(bytes))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(broken_off(GapReason::Truncated, network_text(error))),
        }
    }

    /// Compares what came with what was declared.
    fn verify(&mut self) -> Result<(), Refusal> {
        if let Some(length) = self.length.filter(|length| *length != self.seen) {
            return Err(broken_off(GapReason::Truncated, format!("{} bytes of {length} came", self.seen)));
        }
        let came = STANDARD.encode(std::mem::take(&mut self.digest).finalize());
        match &self.sha256 {
            Some(declared) if *declared != came => {
                let detail = "the bytes that came are not the declared ones (SHA-256 differs)";
                Err(Refusal::new(GapReason::Truncated, detail, mend_of(GapReason::Truncated)))
            }
            _ => Ok(()),
        }
    }

    async fn hold(&mut self, size: u64, calls: &Calls) -> Result<Bytes, Refusal> {
        let mut held = BytesMut::with_capacity(usize::try_from(size.min(HELD_BYTES_MAX)).unwrap_or_default());
        let all = async {
            while let Some(bytes) = self.next(calls).await? {
                held.extend_from_slice(&bytes);
            }
            self.verify()
        };
        match tokio::time::timeout(time_for(size), all).await {
            Ok(Ok(())) => Ok(held.freeze()),
            Ok(Err(refusal)) => Err(refusal),
            Err(_) => Err(broken_off(GapReason::Truncated, format!("not done in {} seconds", time_for(size).as_secs()))),
        }
    }

    fn stream(mut self, calls: Calls, target: &Target, subject: &str) -> Body {
        let (target, subject, length) = (target.clone(), subject.to_owned(), self.length);
        let lost = broken_off(GapReason::Truncated, "it was given up".to_owned()).gap(&target, &subject);
        let (sender, body) = stream::body(length, lost);
        tokio::spawn(async move {
            let time = time_for(length.unwrap_or(DOWNLOAD_BYTES_MAX));
            let copy = async {
                while let Some(bytes) = self.next(&calls).await? {
                    if !sender.bytes(bytes).await {
                        return Ok(());
                    }
                }
                self.verify()
            };
            // The reader's own pauses count too, so the limit is generous; the silence limit catches a dead peer.
            match tokio::time::timeout(time * 10, copy).await {
                Ok(Ok(())) => sender.end().await,
                Ok(Err(refusal)) => sender.broken(refusal.gap(&target, subject)).await,
                Err(_) => {
                    let refusal = broken_off(GapReason::Truncated, format!("not done in {} seconds", (time * 10).as_secs()));
                    sender.broken(refusal.gap(&target, subject)).await;
                }
            }
        });
        body
    }
}

fn time_for(size_bytes: u64) -> Duration {
    DOWNLOAD_TIME_MAX + Duration::from_secs(size_bytes >> 16)
}

fn is_of_aws(host: &str) -> bool {
    AWS_SUFFIXES.iter().any(|suffix| host.ends_with(suffix))
}

/// What a network error says, never with the address and its query.
pub(super) fn network_text(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut at = std::error::Error::source(&error);
    while let Some(source) = at {
        text.push_str(": ");
        text.push_str(&source.to_string());
        at = source.source();
    }
    plain(&text)
}

/// The system's resolver, less what a host of AWS's has no business to be at.
struct Resolver {
    guarded: bool,
    configured: BTreeSet<String>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_ascii_lowercase();
        let guarded = is_of_aws(&host) && !self.configured.contains(&host);
        let private_too = self.guarded;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let kept: Vec<SocketAddr> = found.iter().filter(|address| !guarded || !is_inside(address.ip(), private_too)).copied().collect();
            if kept.is_empty() && !found.is_empty() {
                return Err(format!("{host} stands at an address inside this network, which is refused").into());
            }
            Ok(Box::new(kept.into_iter()) as Addrs)
        })
    }
}

/// Addresses that lead to this machine, its neighbours or its cloud's metadata; with `private`, into private networks too.
fn is_inside(address: IpAddr, private: bool) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || a == 0
                || (private && (v4.is_private() || (a == 100 && (64..128).contains(&b))))
        }
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => is_inside(IpAddr::V4(v4), private),
            None => {
                let first = v6.segments()[0];
                v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_multicast()
                    || first & 0xffc0 == 0xfe80
                    || v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
                    || (private && first & 0xfe00 == 0xfc00)
            }
        },
    }
}

/// `::ffff:a.b.c.d` and the NAT64 form.
fn embedded_v4(v6: Ipv6Addr) -> Option<std::net::Ipv4Addr> {
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let nat64 = [a, b, c, d, e, f] == [0x64, 0xff9b, 0, 0, 0, 0];
    let [g1, g2] = g.to_be_bytes();
    let [h1, h2] = h.to_be_bytes();
    if nat64 { Some(std::net::Ipv4Addr::new(g1, g2, h1, h2)) } else { v6.to_ipv4_mapped() }
}

#[cfg(test)]
mod tests {
    use overdue_core::TargetKind;

    use super::super::stub;
    use super::*;

    #[test]
    fn only_awss_own_hosts_and_configured_ones_are_followed() {
        let http = Http::new(["http://127.0.0.1:5000".to_owned(), "https://S3.vpce.example/".to_owned()], false);
        for good in [
            "https://awslambda-eu-west-1-tasks.s3.eu-west-1.amazonaws.com/snapshots/x?X-Amz-Signature=1",
            "https://prod-04.s3.cn-north-1.amazonaws.com.cn/x",
            "http://127.0.0.1:9999/code",
            "http://localhost:9999/code",
            "https://s3.vpce.example/x",
        ] {
            assert!(http.check(good).is_ok(), "{good}");
        }
        for bad in [
            "http://awslambda.s3.amazonaws.com/x",
            "https://amazonaws.com.evil.example/x",
            "https://evilamazonaws.com/x",
            "https://169.254.169.254/latest/meta-data",
            "https://2852039166/latest",
            "https://[::ffff:169.254.169.254]/",
            "https://user:pw@x.s3.amazonaws.com/x",
            "https://x.s3.amazonaws.com:8443/x",
            "https://127.0.0.2/x",
            "http://localhost.evil.example/x",
            "ftp://127.0.0.1/x",
            "file:///etc/passwd",
            "s3://bucket/key",
            "",
        ] {
            let refusal = http.check(bad).expect_err(bad);
            assert!(!refusal.detail.contains('?'), "{}", refusal.detail);
        }
    }

    #[test]
    fn addresses_inside_are_known_in_all_their_spellings() {
        for inside in
            ["127.0.0.1", "169.254.169.254", "0.0.0.0", "::1", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254", "64:ff9b::a9fe:a9fe"]
        {
            assert!(is_inside(inside.parse().unwrap(), false), "{inside}");
        }
        for private in ["10.0.0.1", "192.168.1.1", "172.16.0.1", "100.64.0.1", "fd12::1", "::ffff:10.0.0.1"] {
            assert!(is_inside(private.parse().unwrap(), true), "{private}");
            assert!(!is_inside(private.parse().unwrap(), false), "{private}");
        }
        for outside in ["52.218.0.1", "2600:1f18::1", "64:ff9b::34da:1"] {
            assert!(!is_inside(outside.parse().unwrap(), true), "{outside}");
        }
    }

    fn link(url: &str, content: &str) -> Link {
        Link { url: format!("{url}/code?X-Amz-Signature=sealed"), sha256: Some(STANDARD.encode(Sha256::digest(content))), size_bytes: None }
    }

    async fn download(http: &Http, link: Link) -> Result<Body, Gap> {
        let target = stub::target(TargetKind::Functions, "");
        http.download(link, &Calls::default(), &target, "function/f/1/code").await
    }

    #[tokio::test]
    async fn what_breaks_is_tried_again_and_compared() {
        let good = stub::answer(200, "", "the code");
        let short = b"HTTP/1.1 200 x\r\nContent-Length: 8\r\n\r\nthe".to_vec();
        let busy = stub::answer(503, "", "");
        for (what, answers, expected) in [
            ("whole at once", vec![good.clone()], Ok(8)),
            ("after a 503", vec![busy.clone(), good.clone()], Ok(8)),
            ("after a short one", vec![short.clone(), good.clone()], Ok(8)),
            ("after another one", vec![stub::answer(200, "", "not code"), good.clone()], Ok(8)),
            ("always short", vec![short], Err(GapReason::Truncated)),
            ("always another", vec![stub::answer(200, "", "not code")], Err(GapReason::Truncated)),
            ("always busy", vec![busy], Err(GapReason::Throttled)),
            ("gone", vec![stub::answer(404, "", "")], Err(GapReason::Vanished)),
            ("refused", vec![stub::answer(403, "", "")], Err(GapReason::Denied)),
            ("sent elsewhere", vec![stub::answer(302, "Location: http://169.254.169.254/\r\n", "")], Err(GapReason::ProviderFault)),
        ] {
            let (url, asked) = stub::serve(answers).await;
            let got = download(&Http::new([url.clone()], false), link(&url, "the code")).await;
            match (&got, expected) {
                (Ok(Body::Bytes(bytes)), Ok(length)) => assert_eq!(bytes.len(), length, "{what}"),
                (Err(gap), Err(reason)) => {
                    assert_eq!(gap.reason, reason, "{what}: {}", gap.detail);
                    assert!(!gap.detail.contains("Signature") && !gap.mend.is_empty(), "{what}: {}", gap.detail);
                }
                _ => panic!("{what}"),
            }
            assert!(asked.lock().unwrap().len() <= ATTEMPTS_MAX as usize, "{what}");
        }
    }

    #[tokio::test]
    async fn a_large_one_streams_and_a_wrong_end_is_its_fault() {
        for (content, whole) in [("the code", true), ("not code", false)] {
            let (url, _) = stub::serve(vec![stub::answer(200, "", content)]).await;
            let http = Http { held_bytes_max: 3, ..Http::new([url.clone()], false) };
            let Ok(Body::Reader { mut reader, fault, .. }) = download(&http, link(&url, "the code")).await else { panic!("not a stream") };
            let read = tokio::task::spawn_blocking(move || std::io::copy(&mut reader, &mut std::io::sink()).is_ok()).await.unwrap();
            assert_eq!((read, fault.take().map(|gap| gap.reason)), (whole, (!whole).then_some(GapReason::Truncated)));
        }
    }
}
