//! Passwords in URLs: `scheme://user:password@host`.

use super::found::Match;
use crate::noise::{self, Makeup};

/// How long user, password and host may be together.
const AUTHORITY_BYTES_MAX: usize = 512;

/// Schemes of databases, brokers and directories.
const DATABASES: [&str; 46] = [
    "postgres",
    "postgresql",
    "pgsql",
    "psql",
    "cockroachdb",
    "redshift",
    "mysql",
    "mysql2",
    "mysqlx",
    "mariadb",
    "mongodb",
    "mongodb+srv",
    "redis",
    "rediss",
    "valkey",
    "amqp",
    "amqps",
    "mssql",
    "sqlserver",
    "oracle",
    "db2",
    "snowflake",
    "clickhouse",
    "clickhouses",
    "cassandra",
    "couchbase",
    "couchbases",
    "couchdb",
    "influxdb",
    "neo4j",
    "neo4j+s",
    "bolt",
    "bolt+s",
    "nats",
    "mqtt",
    "mqtts",
    "kafka",
    "stomp",
    "ldap",
    "ldaps",
    "smtp",
    "smtps",
    "imap",
    "imaps",
    "libsql",
    "trino",
];

/// A URL with a password whose `://` stands at `at`.
pub(crate) fn find(buf: &[u8], at: usize, database: bool) -> Option<Match> {
    let start = at + 3;
    let authority = &buf[start..(start + AUTHORITY_BYTES_MAX).min(buf.len())];
    let end = authority
        .iter()
        .position(|byte| {
            matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\' | b'|' | b',') || byte.is_ascii_whitespace()
        })
        .unwrap_or(authority.len());
    let authority = &authority[..end];
    let sign = memchr::memrchr(b'@', authority)?;
    let (userinfo, host) = (&authority[..sign], &authority[sign + 1..]);
    let colon = memchr::memchr(b':', userinfo)?;
    let (user, password) = (&userinfo[..colon], &userinfo[colon + 1..]);
    let scheme = scheme(buf, at)?;
    if DATABASES.contains(&scheme.as_str()) != database || (user.is_empty() && !database) {
        return None;
    }
    let host_name = host.split(|&byte| byte == b':').next().unwrap_or_default();
    let decoded = percent_decoded(password);
    if !is_password(user, &decoded, password, database) || (is_example_host(host_name) && !is_random_at_reserved(host_name, &decoded)) {
        return None;
    }
    let clean = !host_name.is_empty()
        && host_name.len() <= 100
        && host_name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    let label =
        if clean { format!("{scheme}://…@{}", String::from_utf8_lossy(host_name)) } else { format!("{scheme} URL with a password") };
    let password_start = start + colon + 1;
    let bytes = (decoded != password).then_some(decoded);
    Some(Match { bytes, label: Some(label), ..Match::of(password_start..password_start + password.len()) })
}

fn scheme(buf: &[u8], at: usize) -> Option<String> {
    let head = &buf[at.saturating_sub(24)..at];
    let start = head.iter().rposition(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-'))).map_or(0, |at| at + 1);
    let scheme = &head[start..];
    // `jdbc:` and `git+` and their kin stand before it.
    let scheme = scheme.strip_prefix(b"n").filter(|_| start > 0 && head[start - 1] == b'\\').unwrap_or(scheme);
    (scheme.len() >= 2 && scheme[0].is_ascii_alphabetic()).then(|| String::from_utf8_lossy(scheme).to_ascii_lowercase())
}

fn is_password(user: &[u8], decoded: &[u8], raw: &[u8], database: bool) -> bool {
    if raw.len() < 5 || raw.len() > 200 || noise::has_template(raw) || decoded.iter().any(|byte| !(0x21..0x7f).contains(byte)) {
        return false;
    }
    if raw.iter().any(|byte| matches!(byte, b'{' | b'}' | b'[' | b']' | b'<' | b'>' | b'$' | b';')) && noise::Makeup::of(raw).digit == 0 {
        return false;
    }
    if decoded.eq_ignore_ascii_case(user) || noise::is_stock_password(decoded) || noise::is_placeholder(decoded) {
        return false;
    }
    let makeup = Makeup::of(decoded);
    if makeup.digit == decoded.len() {
        return decoded.len() >= 8;
    }
    const WORDS: [&[u8]; 7] = [b"pass", b"passwd", b"secret", b"token", b"apikey", b"pwd", b"user"];
    let speaks_of_itself = WORDS.iter().any(|word| noise::contains_ignoring_case(decoded, word));
    if speaks_of_itself && (makeup.digit < 2 || decoded.len() < 10) {
        return false;
    }
    let letters_only = makeup.digit == 0 && makeup.symbol == 0;
    if letters_only && (decoded.len() < 8 || noise::reads_like_words(decoded)) {
        return false;
    }
    // Outside of databases most of these are tests of URL parsers.
    database || decoded.len() >= 8 && makeup.classes() >= 2 && noise::entropy(decoded) >= 2.5
}

fn is_example_host(host: &[u8]) -> bool {
    const HOSTS: [&[u8]; 12] = [
        b"",
        b"example",
        b"host",
        b"hostname",
        b"server",
        b"domain",
        b"domain.com",
        b"domain.tld",
        b"host.com",
        b"server.com",
        b"yourserver",
        b"foo.com",
    ];
    let name = host.to_ascii_lowercase();
    let ends = |ending: &[u8]| name.ends_with(ending);
    HOSTS.contains(&name.as_slice())
        || [&b"example.com"[..], b"example.org", b"example.net", b".example", b".invalid", b".test"].into_iter().any(ends)
        || noise::has_template(host)
}

/// A random password under the reserved `.example`: the host may have been made up, the password was not typed for a manual.
fn is_random_at_reserved(host: &[u8], password: &[u8]) -> bool {
    host.to_ascii_lowercase().ends_with(b".example")
        && password.len() >= 16
        && Makeup::of(password).digit > 0
        && noise::entropy(password) >= 3.5
}

/// `%41` becomes `A`.
pub(crate) fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let hex = |byte: u8| (byte as char).to_digit(16);
        match text[at..] {
            [b'%', high, low, ..] if hex(high).is_some() && hex(low).is_some() => {
                out.push((hex(high).unwrap_or(0) * 16 + hex(low).unwrap_or(0)) as u8);
                at += 3;
            }
            [byte, ..] => {
                out.push(byte);
                at += 1;
            }
            [] => break,
        }
    }
    out
}
