//! Names: whether what a value is called says that it is a secret.
//!
//! A name is read as its words, however it is written: `DB_PASSWORD`, `dbPassword`, `db-password`, `db.password`. The last
//! word that means a secret decides; a word after it (`password_hash`, `tokenType`) or before it (`next_token`,
//! `primary_key`) can make the whole the name of something else.

use std::ops::Range;

/// The longest name.
pub(crate) const NAME_MAX: usize = 80;
/// The most words of a name that are looked at.
const WORDS_MAX: usize = 12;

/// What a name promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Chosen by a person, perhaps.
    Password,
    /// Made by a machine.
    Token,
    /// Made by a machine, or a word for something quite different: `key`, `auth`, `seed`.
    Vague,
}

pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'$')
}

/// The name that stands round these bytes.
pub(crate) fn name_round(buf: &[u8], hit: Range<usize>) -> Range<usize> {
    let floor = hit.start.saturating_sub(NAME_MAX);
    let ceiling = (hit.end + NAME_MAX).min(buf.len());
    let mut start = hit.start;
    while start > floor && is_name_byte(buf[start - 1]) {
        start -= 1;
    }
    // The `n` of an escaped line break is no letter of it.
    if start > 0 && start < hit.start && buf[start - 1] == b'\\' && matches!(buf[start], b'n' | b't' | b'r') {
        start += 1;
    }
    let mut end = hit.end;
    while end < ceiling && is_name_byte(buf[end]) {
        end += 1;
    }
    // `token->value` and `password--`, a dot at the end of a sentence.
    while end > hit.end && matches!(buf[end - 1], b'.' | b'-') {
        end -= 1;
    }
    start..end
}

/// The words of a name: parted by signs, or by a capital after a small letter.
pub(crate) struct Words {
    at: [(usize, usize); WORDS_MAX],
    len: usize,
}

impl Words {
    /// The last words of the name.
    pub(crate) fn of(buf: &[u8], name: Range<usize>) -> Self {
        let mut words = Self { at: [(0, 0); WORDS_MAX], len: 0 };
        let mut start = name.start;
        let mut last = b'_';
        for at in name.clone() {
            let byte = buf[at];
            if !byte.is_ascii_alphabetic() || (byte.is_ascii_uppercase() && !last.is_ascii_uppercase()) {
                words.push(start, at);
                start = if byte.is_ascii_alphabetic() { at } else { at + 1 };
            }
            last = byte;
        }
        words.push(start, name.end);
        words
    }

    fn push(&mut self, start: usize, end: usize) {
        if start >= end {
            return;
        }
        if self.len == WORDS_MAX {
            self.at.rotate_left(1);
            self.len -= 1;
        }
        self.at[self.len] = (start, end);
        self.len += 1;
    }

    fn iter<'b>(&self, buf: &'b [u8]) -> impl DoubleEndedIterator<Item = &'b [u8]> + ExactSizeIterator {
        self.at[..self.len].iter().map(move |&(start, end)| &buf[start..end]).collect::<Vec<_>>().into_iter()
    }
}

fn is_one_of(word: &[u8], list: &[&str]) -> bool {
    list.iter().any(|one| word.eq_ignore_ascii_case(one.as_bytes()))
}

fn ends_with(word: &[u8], ending: &str) -> bool {
    word.len() >= ending.len() && word[word.len() - ending.len()..].eq_ignore_ascii_case(ending.as_bytes())
}

/// What one word promises.
fn kind_of_word(word: &[u8]) -> Option<Kind> {
    const PASSWORDS: [&str; 20] = [
        "password",
        "passwords",
        "passwd",
        "passphrase",
        "passwort",
        "passcode",
        "pass",
        "pwd",
        "pw",
        "passw",
        "pswd",
        "psw",
        "passwrd",
        "requirepass",
        "masterauth",
        "storepass",
        "keypass",
        "passin",
        "pasword",
        "passkey",
    ];
    const TOKENS: [&str; 11] =
        ["secret", "token", "secrets", "apikey", "apikeys", "credential", "credentials", "creds", "cred", "authorization", "authtok"];
    const VAGUE: [&str; 8] = ["key", "keys", "auth", "salt", "seed", "nonce", "salts", "tokens"];
    // Run together: `dbpassword`, `userpass`, `clientsecret`, `appkey`.
    const PASS_BEFORE: [&str; 24] = [
        "db", "pg", "my", "user", "admin", "root", "mysql", "sql", "ldap", "smtp", "client", "auth", "the", "login", "mail", "ftp", "http",
        "proxy", "redis", "mongo", "ssh", "db2", "test", "usr",
    ];
    const KEY_BEFORE: [&str; 24] = [
        "api",
        "app",
        "access",
        "secret",
        "auth",
        "private",
        "priv",
        "master",
        "signing",
        "sign",
        "encryption",
        "encrypt",
        "crypto",
        "cipher",
        "license",
        "shared",
        "account",
        "storage",
        "client",
        "aes",
        "des",
        "hmac",
        "deploy",
        "service",
    ];
    if is_one_of(word, &PASSWORDS) {
        return Some(Kind::Password);
    }
    if is_one_of(word, &TOKENS) {
        return Some(Kind::Token);
    }
    if is_one_of(word, &VAGUE) {
        return Some(Kind::Vague);
    }
    let stem = |ending: &str| ends_with(word, ending).then(|| &word[..word.len() - ending.len()]);
    if word.len() > 24 {
        return None;
    }
    if ["password", "passwd", "passphrase"].iter().any(|ending| ends_with(word, ending)) {
        return Some(Kind::Password);
    }
    if ["pass", "pwd", "pw", "pswd"].iter().any(|ending| stem(ending).is_some_and(|before| is_one_of(before, &PASS_BEFORE))) {
        return Some(Kind::Password);
    }
    if ["secret", "token", "apikey", "secretkey", "accesskey", "authkey", "privatekey"].iter().any(|ending| ends_with(word, ending))
        || stem("key").is_some_and(|before| is_one_of(before, &KEY_BEFORE))
    {
        return Some(Kind::Token);
    }
    (ends_with(word, "salt") || ends_with(word, "nonce")).then_some(Kind::Vague)
}

/// Words after the one that means a secret which make the whole the name of something else.
const OTHER_AFTER: [&str; 130] = [
    "name",
    "names",
    "field",
    "fields",
    "url",
    "uri",
    "type",
    "types",
    "count",
    "counts",
    "len",
    "length",
    "policy",
    "policies",
    "hash",
    "hashed",
    "hasher",
    "hashes",
    "reset",
    "expiry",
    "expires",
    "expire",
    "expiration",
    "ttl",
    "path",
    "file",
    "files",
    "filename",
    "dir",
    "id",
    "ids",
    "ref",
    "arn",
    "label",
    "text",
    "hint",
    "placeholder",
    "prompt",
    "error",
    "errors",
    "message",
    "msg",
    "title",
    "input",
    "form",
    "regex",
    "pattern",
    "format",
    "prefix",
    "suffix",
    "header",
    "headers",
    "param",
    "params",
    "endpoint",
    "provider",
    "manager",
    "store",
    "storage",
    "service",
    "class",
    "generator",
    "validator",
    "encoder",
    "handler",
    "callback",
    "index",
    "position",
    "offset",
    "size",
    "max",
    "min",
    "limit",
    "usage",
    "version",
    "status",
    "state",
    "enabled",
    "required",
    "column",
    "attr",
    "attribute",
    "property",
    "env",
    "cache",
    "bucket",
    "scope",
    "scopes",
    "scheme",
    "algorithm",
    "method",
    "mode",
    "kind",
    "source",
    "digest",
    "strength",
    "code",
    "codes",
    "down",
    "up",
    "press",
    "frame",
    "frames",
    "board",
    "word",
    "words",
    "stroke",
    "binding",
    "map",
    "spec",
    "schema",
    "arg",
    "parser",
    "selector",
    "signature",
    "checksum",
    "fingerprint",
    "location",
    "encryption",
    "management",
    "authentication",
    "verification",
    "confirmation",
    "rotation",
    "recovery",
    "protection",
    "derivation",
    "exchange",
    "request",
    "response",
];

/// Words before it that do the same.
const OTHER_BEFORE: [&str; 45] = [
    "next",
    "page",
    "continuation",
    "continue",
    "sync",
    "cancel",
    "cancellation",
    "csrf",
    "xsrf",
    "reset",
    "forgot",
    "forgotten",
    "change",
    "changed",
    "invalid",
    "missing",
    "wrong",
    "bad",
    "public",
    "min",
    "max",
    "num",
    "is",
    "has",
    "no",
    "parse",
    "lex",
    "syntax",
    "current",
    "end",
    "start",
    "eof",
    "comma",
    "unexpected",
    "expected",
    "pagination",
    "resume",
    "cursor",
    "get",
    "idempotency",
    "verification",
    "stop",
    "bos",
    "eos",
    "pad",
];

/// Kinds of key that open nothing.
const KEY_OF_OTHER: [&str; 87] = [
    "primary",
    "foreign",
    "cache",
    "partition",
    "sort",
    "range",
    "map",
    "dict",
    "hash",
    "index",
    "row",
    "column",
    "field",
    "object",
    "group",
    "search",
    "hot",
    "shortcut",
    "arrow",
    "public",
    "pub",
    "registry",
    "reg",
    "translation",
    "i18n",
    "locale",
    "message",
    "msg",
    "label",
    "config",
    "setting",
    "settings",
    "json",
    "data",
    "type",
    "event",
    "prop",
    "property",
    "attr",
    "attribute",
    "parent",
    "child",
    "item",
    "list",
    "array",
    "bucket",
    "s3",
    "route",
    "path",
    "query",
    "unique",
    "natural",
    "composite",
    "lookup",
    "dedup",
    "sorting",
    "order",
    "target",
    "source",
    "node",
    "state",
    "param",
    "context",
    "any",
    "last",
    "first",
    "old",
    "this",
    "option",
    "answer",
    "turn",
    "low",
    "ordering",
    "git",
    "file",
    "image",
    "photo",
    "asset",
    "blob",
    "content",
    "chunk",
    "thumb",
    "upload",
    "document",
    "doc",
    "metadata",
    "etag",
];

/// Kinds of key that open something.
const KEY_OF_DOOR: [&str; 56] = [
    "api",
    "secret",
    "access",
    "private",
    "auth",
    "authentication",
    "encryption",
    "encrypt",
    "decryption",
    "signing",
    "sign",
    "signature",
    "master",
    "license",
    "licence",
    "app",
    "application",
    "service",
    "client",
    "consumer",
    "session",
    "crypto",
    "cipher",
    "aes",
    "des",
    "hmac",
    "jwt",
    "deploy",
    "storage",
    "account",
    "shared",
    "admin",
    "rest",
    "write",
    "ingest",
    "ingestion",
    "integration",
    "subscription",
    "webhook",
    "merchant",
    "user",
    "server",
    "customer",
    "security",
    "activation",
    "product",
    "sdk",
    "functions",
    "function",
    "host",
    "cookie",
    "bot",
    "agent",
    "recaptcha",
    "preshared",
    "psk",
];

/// What a key may be called after: where it is used, how it is written.
const VERSIONS: [&str; 27] = [
    "prod",
    "production",
    "dev",
    "development",
    "test",
    "testing",
    "live",
    "stage",
    "staging",
    "default",
    "value",
    "val",
    "base",
    "b",
    "hex",
    "secret",
    "str",
    "string",
    "v",
    "old",
    "new",
    "backup",
    "const",
    "raw",
    "data",
    "qa",
    "client",
];

/// What the name promises; `None` when it is the name of something else.
pub(crate) fn kind_of(buf: &[u8], name: Range<usize>) -> Option<Kind> {
    let words: Vec<&[u8]> = Words::of(buf, name.clone()).iter(buf).collect();
    let (mut at, mut kind) = words.iter().enumerate().rev().find_map(|(at, word)| Some((at, kind_of_word(word)?)))?;
    // `secret_key`, `password_salt`: the last one is vague, and what stands before it says which.
    let after = &words[at + 1..];
    if after.iter().any(|word| is_one_of(word, &OTHER_AFTER)) {
        return None;
    }
    let before = at.checked_sub(1).map(|at| words[at]);
    if before.is_some_and(|word| is_one_of(word, &OTHER_BEFORE)) {
        return None;
    }
    if kind == Kind::Vague && is_one_of(words[at], &["key", "keys"]) {
        if !after.iter().all(|word| is_one_of(word, &VERSIONS)) {
            return None;
        }
        let before = before.or_else(|| word_before(buf, name.start));
        if before.is_some_and(|word| is_one_of(word, &KEY_OF_OTHER) || is_one_of(word, &OTHER_BEFORE)) {
            return None;
        }
        if before.is_some_and(|word| is_one_of(word, &KEY_OF_DOOR) || kind_of_word(word) == Some(Kind::Token)) {
            kind = Kind::Token;
        } else if before.is_some_and(|word| kind_of_word(word) == Some(Kind::Password)) {
            return None;
        }
    } else if kind == Kind::Vague && is_one_of(words[at], &["auth"]) && !after.is_empty() {
        // `auth_url`, `auth-service`: anything may follow it.
        return None;
    } else if at == 0 && word_before(buf, name.start).is_some_and(|word| is_one_of(word, &OTHER_BEFORE)) {
        return None;
    }
    // `user.password.test`: the words that remain only say where.
    at += 1;
    (words.len() - at <= 4).then_some(kind)
}

/// The name with the words before it in running text that may belong to it: `the datadog api key`.
pub(crate) fn whole_name(buf: &[u8], name: &Range<usize>) -> Range<usize> {
    let mut start = name.start;
    for _ in 0..3 {
        match word_before(buf, start) {
            Some(word) => start -= word.len() + 1,
            None => break,
        }
    }
    start..name.end
}

/// The word before a name in running text: one space away, on the same line.
fn word_before(buf: &[u8], start: usize) -> Option<&[u8]> {
    let end = start.checked_sub(1).filter(|&at| buf[at] == b' ')?;
    let floor = end.saturating_sub(20);
    let begin = (floor..end).rev().take_while(|&at| buf[at].is_ascii_alphabetic()).last()?;
    Some(&buf[begin..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str) -> Option<Kind> {
        kind_of(name.as_bytes(), 0..name.len())
    }

    #[test]
    fn names_of_secrets() {
        for name in [
            "password",
            "DB_PASSWORD",
            "dbPassword",
            "spring.datasource.password",
            "userpass",
            "MYSQL_PWD",
            "smtpPass",
            "password2",
            "pass",
        ] {
            assert_eq!(kind(name), Some(Kind::Password), "{name}");
        }
        for name in
            ["apiKey", "X-Api-Key", "AWSSecretKey", "client_secret", "authToken", "SECRET_KEY_BASE", "appkey", "APIKey", "JWT_SECRET_PROD"]
        {
            assert_eq!(kind(name), Some(Kind::Token), "{name}");
        }
        for name in ["key", "salt", "AUTH_SALT", "nonce", "auth", "my_key"] {
            assert_eq!(kind(name), Some(Kind::Vague), "{name}");
        }
    }

    #[test]
    fn names_of_other_things() {
        for name in [
            "compass",
            "tokenizer",
            "secretary",
            "monkey",
            "author",
            "passenger",
            "keyboard",
            "password_hash",
            "tokenType",
            "secretName",
            "next_token",
            "primary_key",
            "cacheKey",
            "keyCode",
            "public_key",
            "KEY_PATH",
            "auth_url",
            "passwordField",
            "turkey",
            "seeds",
        ] {
            assert_eq!(kind(name), None, "{name}");
        }
        let text = "the primary key";
        assert_eq!(kind_of(text.as_bytes(), 12..15), None);
        let text = "the api key";
        assert_eq!(kind_of(text.as_bytes(), 8..11), Some(Kind::Token));
    }
}
