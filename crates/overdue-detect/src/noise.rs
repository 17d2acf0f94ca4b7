//! Noise: what looks like a secret and is none.
//!
//! Placeholders, examples from documentation, words, sequences, identifiers of other things. Each test here says what it
//! recognises; a rule's confirmation asks them in turn. All of them are pure functions of the bytes.

/// Shannon entropy in bits a byte.
pub(crate) fn entropy(bytes: &[u8]) -> f32 {
    if bytes.is_empty() {
        return 0.0;
    }
    let mut counts = [0u32; 256];
    for &byte in bytes {
        counts[usize::from(byte)] += 1;
    }
    let total = bytes.len() as f32;
    counts.iter().filter(|&&count| count > 0).map(|&count| count as f32 / total).map(|share| -share * share.log2()).sum()
}

/// What a text is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Makeup {
    pub(crate) lower: usize,
    pub(crate) upper: usize,
    pub(crate) digit: usize,
    pub(crate) symbol: usize,
    pub(crate) space: usize,
    pub(crate) other: usize,
}

impl Makeup {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut makeup = Self::default();
        for byte in bytes {
            match byte {
                b'a'..=b'z' => makeup.lower += 1,
                b'A'..=b'Z' => makeup.upper += 1,
                b'0'..=b'9' => makeup.digit += 1,
                b' ' | b'\t' | b'\r' | b'\n' => makeup.space += 1,
                0x21..=0x7e => makeup.symbol += 1,
                _ => makeup.other += 1,
            }
        }
        makeup
    }

    pub(crate) fn letters(self) -> usize {
        self.lower + self.upper
    }

    /// How many of lower, upper, digit and symbol it has.
    pub(crate) fn classes(self) -> usize {
        [self.lower, self.upper, self.digit, self.symbol].into_iter().filter(|&count| count > 0).count()
    }
}

/// Whether it says of itself that it is none: `EXAMPLE`, `xxxx`, `changeme`, one character over and over, a sequence.
///
/// Safe to ask of any token: a random one of 40 characters is taken for a placeholder less than once in ten million.
pub(crate) fn is_placeholder(bytes: &[u8]) -> bool {
    const WORDS: [&[u8]; 34] = [
        b"example",
        b"xxxxx",
        b"changeme",
        b"change_me",
        b"change-me",
        b"placeholder",
        b"redacted",
        b"your_",
        b"your-",
        b"yourapi",
        b"yourtoken",
        b"yoursecret",
        b"yourkey",
        b"insert",
        b"foobar",
        b"sample",
        b"replace",
        b"removed",
        b"masked",
        b"dummy",
        b"notreal",
        b"not-a-",
        b"not_a_",
        b"fakefake",
        b"testtest",
        b"deadbeef",
        b"cafebabe",
        b"lorem",
        b"....",
        b"****",
        b"<your",
        b"0123456789",
        b"1234567890",
        b"abcdefghij",
    ];
    if bytes.len() >= 4 && distinct(bytes) * 8 <= bytes.len().min(48) {
        return true;
    }
    same_run_is_too_long(bytes) || WORDS.iter().any(|word| contains_ignoring_case(bytes, word)) || repeats(bytes)
}

/// Six of one character in a row; sixteen of `A`, which is what zeros become in base64.
fn same_run_is_too_long(bytes: &[u8]) -> bool {
    bytes.chunk_by(|a, b| a == b).any(|run| run.len() >= if run[0] == b'A' { 16 } else { 6 })
}

/// How many different bytes it has.
pub(crate) fn distinct(bytes: &[u8]) -> usize {
    let mut seen = [false; 256];
    for &byte in bytes {
        seen[usize::from(byte)] = true;
    }
    seen.iter().filter(|&&seen| seen).count()
}

/// Whether it is one short piece over and over: `abcabcabcabc`.
fn repeats(bytes: &[u8]) -> bool {
    (1..=bytes.len() / 3).take(8).any(|period| bytes.len() >= 12 && bytes.iter().zip(&bytes[period..]).all(|(a, b)| a == b))
}

/// Whether `needle`, in lower case, stands in `bytes` in any case.
pub(crate) fn contains_ignoring_case(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.len() >= needle.len() && bytes.windows(needle.len()).any(|window| window.eq_ignore_ascii_case(needle))
}

/// The passwords of tutorials and default set-ups. Whoever uses one in earnest has a problem that rotation does not solve.
pub(crate) fn is_stock_password(bytes: &[u8]) -> bool {
    const STOCK: [&str; 76] = [
        "pgsql",
        "psql",
        "nginx",
        "mysqlpwd",
        "xyzzy",
        "plugh",
        "abc123",
        "abcd1234",
        "qwerty123",
        "1q2w3e4r",
        "pass1234",
        "user123",
        "test12345",
        "foobar123",
        "admin",
        "admin123",
        "administrator",
        "bar",
        "baz",
        "changeit",
        "default",
        "demo",
        "docker",
        "foo",
        "guest",
        "hunter2",
        "hello",
        "letmein",
        "minioadmin",
        "mongo",
        "mypass",
        "mypassword",
        "mysecret",
        "mysecretpassword",
        "mysql",
        "none",
        "null",
        "oracle",
        "pa55word",
        "pass",
        "pass123",
        "passw0rd",
        "password",
        "password1",
        "password12",
        "password123",
        "passwd",
        "postgres",
        "postgresql",
        "pwd",
        "pw",
        "qwerty",
        "rabbitmq",
        "redis",
        "root",
        "root123",
        "sa",
        "secret",
        "secret123",
        "some_password",
        "somepassword",
        "supersecret",
        "test",
        "test123",
        "test1234",
        "testing",
        "testpass",
        "testpassword",
        "token",
        "toor",
        "user",
        "username",
        "vagrant",
        "welcome",
        "s3cr3t",
        "true",
    ];
    STOCK.iter().any(|stock| bytes.eq_ignore_ascii_case(stock.as_bytes()))
}

/// 8-4-4-4-12 hex digits.
pub(crate) fn is_uuid(bytes: &[u8]) -> bool {
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| if matches!(at, 8 | 13 | 18 | 23) { *byte == b'-' } else { byte.is_ascii_hexdigit() })
}

/// Hex digits only.
pub(crate) fn is_hex(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_hexdigit)
}

/// Something of a template that will be replaced: `${X}`, `{{ x }}`, `<token>`, `%s`, `$(cmd)`, `#{x}`, `@x@`, `__X__`, `***`, `...`.
pub(crate) fn has_template(bytes: &[u8]) -> bool {
    const MARKS: [&[u8]; 16] = [
        b"${",
        b"{{",
        b"}}",
        b"<%",
        b"%>",
        b"$(",
        b"#{",
        b"%(",
        b"@@",
        b"***",
        b"...",
        b"{0}",
        b"{}",
        b"[[",
        b"\xe2\x80\xa6",
        b"\xe2\x80\xa2",
    ];
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else { return true };
    (first == b'$' && is_variable(&bytes[1..]))
        || (first == b'<' && last == b'>')
        || (first == b'{' && last == b'}')
        || (first == b'[' && last == b']')
        || (first == b'(' && last == b')')
        || (first == b'@' && last == b'@')
        || (first == b'%' && last == b'%')
        || (bytes.starts_with(b"__") && bytes.ends_with(b"__"))
        || MARKS.iter().any(|mark| memchr::memmem::find(bytes, mark).is_some())
        || has_format(bytes)
        || has_braced_name(bytes)
}

/// What may follow a `$`: a name, perhaps of a member, or nothing. `$9#?B` is no variable of any language.
fn is_variable(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'.' | b':' | b'-' | b'>' | b'[' | b']' | b'{' | b'}' | b'(' | b')' | b'\'' | b'"' | b'/')
    })
}

/// `{name}` somewhere.
fn has_braced_name(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'{', bytes).any(|open| {
        let name = bytes[open + 1..].iter().take_while(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'.')).count();
        name > 0 && bytes.get(open + 1 + name) == Some(&b'}')
    })
}

/// `%s`, `%d`, `%v` with no letter or digit after it.
fn has_format(bytes: &[u8]) -> bool {
    memchr::memchr_iter(b'%', bytes).any(|at| {
        matches!(bytes.get(at + 1), Some(b's' | b'd' | b'v')) && bytes.get(at + 2).is_none_or(|byte| !byte.is_ascii_alphanumeric())
    })
}

/// Mean surprise of its letter pairs, in bits, against English words and identifiers; `None` for fewer than six pairs.
///
/// Half of all words are below 3.5 and 99 in 100 below 4.6; of twelve random letters, 95 in 100 are above 4.6.
pub(crate) fn surprise(bytes: &[u8]) -> Option<f32> {
    surprise_of(bytes, 6)
}

/// Whether its few letters, three pairs at least, surprise so much: `zkwdjq5` is no word with a number.
pub(crate) fn is_odd(bytes: &[u8], least: f32) -> bool {
    surprise_of(bytes, 3).is_some_and(|surprise| surprise >= least)
}

fn surprise_of(bytes: &[u8], pairs_min: u32) -> Option<f32> {
    let (mut sum, mut pairs) = (0u32, 0u32);
    for pair in bytes.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        // A capital after a small letter begins a new word.
        if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && !(a.is_ascii_lowercase() && b.is_ascii_uppercase()) {
            sum += u32::from(BIGRAMS[usize::from(a.to_ascii_lowercase() - b'a')][usize::from(b.to_ascii_lowercase() - b'a')] - b'0');
            pairs += 1;
        }
    }
    (pairs >= pairs_min).then(|| sum as f32 / pairs as f32)
}

/// Whether it reads like words run together. Too short to tell counts as words.
pub(crate) fn reads_like_words(bytes: &[u8]) -> bool {
    surprise(bytes).is_none_or(|surprise| surprise < 4.4)
}

/// The surprise of one pair of letters, in bits.
pub(crate) fn pair_surprise(a: u8, b: u8) -> Option<u32> {
    let index = |byte: u8| byte.is_ascii_alphabetic().then(|| usize::from(byte.to_ascii_lowercase() - b'a'));
    Some(u32::from(BIGRAMS[index(a)?][index(b)?] - b'0'))
}

/// Minus the logarithm to base 2 of how often the second letter follows the first, in words of documentation and code.
const BIGRAMS: [&[u8; 26]; 26] = [
    b"74447757586343858343567768", // a
    b"35553667457366467446477756", // b
    b"37563673584467278553578868", // c
    b"36652567377566467546577767", // d
    b"46435567688453757334766568", // e
    b"46554367377466367445477757", // f
    b"46662654477554467346466767", // g
    b"36662676376656367554576757", // h
    b"55455558887442458544858785", // i
    b"45553555455555355545455555", // j
    b"46652655366565466545565666", // k
    b"37652678387477368755568848", // l
    b"25662777377657437756577768", // m
    b"47443537486675468733567878", // n
    b"66447657676442558345455778", // o
    b"37663675487477347354577757", // p
    b"55555555555555555555255555", // q
    b"37552668386656368544567858", // r
    b"57473674386566447642477858", // s
    b"37562674388667468345577857", // t
    b"54564557577443647343777777", // u
    b"36662666366666466656666667", // v
    b"36553664366554456446666666", // w
    b"55454565466555536553556556", // x
    b"45554556566444536544555655", // y
    b"46562555465555455555555655", // z
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_known() {
        for text in [
            "AKIAIOSFODNN7EXAMPLE",
            "xxxxxxxxxxxxxxxx",
            "aaaaaaaaaaaaaaaaaaaa",
            "0123456789abcdef",
            "YOUR_API_KEY",
            "your-token-here",
            "changeme",
            "abcabcabcabcabc",
            "1234567890",
            "00000000000000000000",
            "REPLACE_WITH_KEY",
            "0000000000000000000000000000000a",
        ] {
            assert!(is_placeholder(text.as_bytes()), "{text}");
        }
        for text in ["hunter2", "kJ8sH2lQ0zXv9TnB3mWc", "d41d8cd98f00b204e9800998ecf8427e", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYKEYKEYKEYa"] {
            assert!(!is_placeholder(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn random_tokens_are_no_placeholders() {
        let mut random = crate::rules::generator::Random::new("noise", 1);
        for _ in 0..20_000 {
            let token: Vec<u8> = (0..40).map(|_| crate::rules::checksum::BASE62[random.below(62)]).collect();
            assert!(!is_placeholder(&token), "{}", String::from_utf8_lossy(&token));
        }
    }

    #[test]
    fn words_are_told_from_keys() {
        for text in ["getElementById", "kubernetes", "my-secret-name-for-prod", "correcthorsebattery", "CancellationToken"] {
            assert!(reads_like_words(text.as_bytes()), "{text}");
        }
        for text in ["xkcdqzpwvbnm", "wJalrXUtnFEMIKbPxRfiCY", "gfhjkmqx"] {
            assert!(!reads_like_words(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn shapes() {
        assert!(is_uuid(b"123e4567-e89b-12d3-a456-426614174000"));
        assert!(!is_uuid(b"123e4567-e89b-12d3-a456-42661417400x"));
        assert!(
            has_template(b"${TOKEN}")
                && has_template(b"<token>")
                && has_template(b"{{ x }}")
                && has_template(b"$HOME")
                && has_template(b"")
        );
        assert!(!has_template(b"p4$$w0rd"));
        assert!((entropy(b"aabb") - 1.0).abs() < 1e-6);
        assert_eq!(Makeup::of(b"aB3$ ").classes(), 4);
    }
}
