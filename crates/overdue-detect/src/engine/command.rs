//! Commands and calls that take a password where no name says so: `curl -u user:…`, `sshpass -p …`, `IDENTIFIED BY '…'`,
//! `getConnection(url, user, "…")`, `auth=("user", "…")`.
//!
//! Each form is a literal that is rare in other text, and where from there the password stands.

use std::ops::Range;

use super::Text;
use super::assignment::{Reader, blank, quoted_at};
use super::name::Kind;
use super::value::{Written, is_secret};

/// How far a command goes: its line, or this.
const LINE_MAX: usize = 400;
/// How far the arguments of a call go.
const CALL_MAX: usize = 400;

/// Where the password stands.
#[derive(Clone, Copy)]
enum Place {
    /// After one of these flags; glued to it when it says so.
    Flag(&'static [&'static str], bool),
    /// After the first colon (or percent sign) of what follows one of these flags.
    UserFlag(&'static [&'static str], u8),
    /// In quotes, right after.
    Quoted,
    /// `echo user:… |` before it.
    Piped,
    /// In quotes, the argument with this number.
    Argument(usize),
    /// The last of the colon-parted fields that begin here.
    LastField,
    /// Bare or quoted, right after.
    Next,
}

const FORMS: [(&str, Place); 44] = [
    ("identified by", Place::Quoted),
    ("convertto-securestring", Place::Quoted),
    ("sshpass", Place::Flag(&["-p"], false)),
    ("curl ", Place::UserFlag(&["-u", "--user", "-U", "--proxy-user"], b':')),
    ("mysql ", Place::Flag(&["-p"], true)),
    ("mysqldump ", Place::Flag(&["-p"], true)),
    ("mysqladmin ", Place::Flag(&["-p"], true)),
    ("mysqlimport ", Place::Flag(&["-p"], true)),
    ("docker login", Place::Flag(&["-p"], false)),
    ("podman login", Place::Flag(&["-p"], false)),
    ("registry login", Place::Flag(&["-p"], false)),
    ("az login", Place::Flag(&["-p"], false)),
    ("mongo ", Place::Flag(&["-p"], false)),
    ("mongosh ", Place::Flag(&["-p"], false)),
    ("mongodump ", Place::Flag(&["-p"], false)),
    ("mongorestore ", Place::Flag(&["-p"], false)),
    ("mongoimport ", Place::Flag(&["-p"], false)),
    ("sqlcmd ", Place::Flag(&["-P"], false)),
    ("redis-cli", Place::Flag(&["-a"], false)),
    ("ldapsearch", Place::Flag(&["-w"], false)),
    ("ldapadd", Place::Flag(&["-w"], false)),
    ("ldapmodify", Place::Flag(&["-w"], false)),
    ("ldapdelete", Place::Flag(&["-w"], false)),
    ("smbclient", Place::UserFlag(&["-U", "--user"], b'%')),
    ("mosquitto_", Place::Flag(&["-P"], false)),
    ("zip -p", Place::Next),
    ("chpasswd", Place::Piped),
    ("password-stdin", Place::Piped),
    ("getconnection(", Place::Argument(2)),
    ("basicauth(", Place::Argument(1)),
    ("basic_auth(", Place::Argument(1)),
    ("basicawscredentials(", Place::Argument(1)),
    ("networkcredential(", Place::Argument(1)),
    (".login(", Place::Argument(1)),
    ("authenticate(", Place::Argument(1)),
    ("create_user(", Place::Argument(2)),
    ("create_superuser(", Place::Argument(2)),
    ("passwordcredentials(", Place::Argument(1)),
    ("passwordauthentication(", Place::Argument(1)),
    ("passwordauthenticationtoken(", Place::Argument(1)),
    ("auth=(", Place::Argument(1)),
    ("auth = (", Place::Argument(1)),
    ("_connect(", Place::Argument(2)),
    (":5432:", Place::LastField),
];

/// Whether a keyword is one of these forms.
pub(super) fn is_ours(keyword: &[u8]) -> bool {
    form(keyword).is_some()
}

fn form(keyword: &[u8]) -> Option<Place> {
    FORMS.iter().find(|(literal, _)| keyword.eq_ignore_ascii_case(literal.as_bytes())).map(|&(_, place)| place)
}

/// The password that the form at `hit` takes.
pub(super) fn find(text: Text<'_>, hit: Range<usize>) -> Option<Range<usize>> {
    let buf = text.buf;
    let place = form(&buf[hit.clone()])?;
    if hit.start > 0 && buf[hit.start].is_ascii_alphanumeric() && buf[hit.start - 1].is_ascii_alphanumeric() && !is_call(place) {
        return None;
    }
    let value = match place {
        Place::Flag(flags, glued) => flag_values(line_after(buf, hit.end), flags, glued).find(|value| is_password(buf, value))?,
        Place::UserFlag(flags, sign) => flag_values(line_after(buf, hit.end), flags, false)
            .filter_map(|value| after_sign(buf, value, sign))
            .find(|value| is_password(buf, value))?,
        Place::Quoted => {
            let mut reader = Reader::new(buf, hit.end, LINE_MAX);
            for word in [&b"values"[..], b"password", b"-string"] {
                reader.skip(blank);
                reader.eat(word);
            }
            reader.skip(blank);
            quoted_at(&mut reader)?
        }
        Place::Next => flag_value(Reader::new(buf, hit.end, LINE_MAX), false)?,
        Place::Piped => piped(buf, hit.start)?,
        Place::Argument(number) => argument(Reader::new(buf, hit.end, CALL_MAX), number)?,
        Place::LastField => {
            let fields = line_after(buf, hit.end);
            let line = &buf[fields.at..fields.end];
            let end = line.iter().position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`')).unwrap_or(line.len());
            let mut colons = memchr::memchr_iter(b':', &line[..end]);
            let second = colons.nth(1)?;
            fields.at + second + 1..fields.at + end
        }
    };
    is_password(buf, &value).then_some(value)
}

fn is_call(place: Place) -> bool {
    matches!(place, Place::Argument(_) | Place::LastField | Place::Next)
}

fn is_password(buf: &[u8], value: &Range<usize>) -> bool {
    is_secret(&buf[value.clone()], b"", Kind::Password, Written::Bare)
}

/// What is left of the line, and of those that go on after a backslash.
fn line_after(buf: &[u8], at: usize) -> Reader<'_> {
    let mut reader = Reader::new(buf, at, LINE_MAX);
    let rest = reader.rest();
    let end = memchr::memchr_iter(b'\n', rest).find(|&end| !rest[..end].trim_ascii_end().ends_with(b"\\"));
    reader.end = at + end.unwrap_or(rest.len());
    reader
}

/// What stands after each of the flags.
fn flag_values<'a>(line: Reader<'a>, flags: &'static [&'static str], glued: bool) -> impl Iterator<Item = Range<usize>> + 'a {
    let text = line.rest();
    (0..text.len()).filter(move |&at| text[at] == b'-' && (at == 0 || text[at - 1].is_ascii_whitespace())).filter_map(move |at| {
        let flag = flags.iter().find(|flag| text[at..].starts_with(flag.as_bytes()))?;
        let after = Reader { at: line.at + at + flag.len(), ..line };
        flag_value(after, glued)
    })
}

fn flag_value(mut reader: Reader<'_>, glued: bool) -> Option<Range<usize>> {
    let spaces = reader.skip(|byte| blank(byte) || byte == b'=');
    if glued != (spaces == 0) {
        return None;
    }
    let mut quoted = reader;
    if let Some(value) = quoted_at(&mut quoted) {
        return Some(value);
    }
    let start = reader.at;
    reader.skip(|byte| !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\'' | b'`' | b';' | b'|' | b')'));
    (reader.at > start).then_some(start..reader.at)
}

fn after_sign(buf: &[u8], value: Range<usize>, sign: u8) -> Option<Range<usize>> {
    let at = memchr::memchr(sign, &buf[value.clone()])?;
    (at > 0).then_some(value.start + at + 1..value.end)
}

/// `echo "user:…" | chpasswd`, `echo '…' | docker login --password-stdin`.
fn piped(buf: &[u8], at: usize) -> Option<Range<usize>> {
    let floor = at.saturating_sub(LINE_MAX / 2);
    let line = &buf[floor..at];
    let start = memchr::memrchr(b'\n', line).map_or(0, |end| end + 1);
    let line = &line[start..];
    let echo = memchr::memmem::rfind(line, b"echo ").or_else(|| memchr::memmem::rfind(line, b"printf "))?;
    let mut reader = Reader::new(buf, floor + start + echo, LINE_MAX / 2);
    reader.end = reader.end.min(at);
    reader.skip(|byte| !blank(byte));
    reader.skip(blank);
    for option in [&b"-n "[..], b"-e "] {
        reader.eat(option);
        reader.skip(blank);
    }
    let value = flag_value(Reader { at: reader.at.saturating_sub(1), ..reader }, false)?;
    let chpasswd = buf[at..].starts_with(b"chpasswd");
    if chpasswd { after_sign(buf, value, b':') } else { Some(value) }
}

/// The argument of a call with this number, counted from 0, when it is a literal in quotes.
fn argument(mut reader: Reader<'_>, number: usize) -> Option<Range<usize>> {
    for _ in 0..number {
        let mut depth = 0;
        loop {
            let mut quoted = reader;
            if matches!(reader.peek()?, b'"' | b'\'' | b'`') {
                quoted_at(&mut quoted)?;
                reader = quoted;
                continue;
            }
            let byte = reader.peek()?;
            reader.at += 1;
            match byte {
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' if depth == 0 => return None,
                b')' | b']' | b'}' => depth -= 1,
                b',' if depth == 0 => break,
                b';' => return None,
                _ => {}
            }
        }
    }
    reader.skip(|byte| byte.is_ascii_whitespace());
    let mut named = reader;
    // `password="…"` has its own rule.
    if named.skip(|byte| byte.is_ascii_alphanumeric() || byte == b'_') > 1 {
        return None;
    }
    quoted_at(&mut reader)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Syntax;

    fn found(line: &str) -> Option<String> {
        let text = Text { buf: line.as_bytes(), binary: false, syntax: Syntax::Unknown };
        let lower = line.to_ascii_lowercase();
        FORMS.iter().find_map(|(literal, _)| {
            let start = lower.find(literal)?;
            find(text, start..start + literal.len()).map(|value| line[value].to_owned())
        })
    }

    #[test]
    fn passwords_of_commands() {
        let pass = concat!("Tr0ub4dor", "-3xK");
        for line in [
            "curl -s -u deploy:{} https://files.acme.io/x",
            "curl --user 'deploy:{}' https://files.acme.io",
            "curl https://x.acme.io \\\n  -u deploy:{}",
            "sshpass -p '{}' ssh me@box",
            "sshpass -p {} scp a b:",
            "mysql -h db -uroot -p{} orders",
            "docker login -u deploy -p {} registry.acme.io",
            "mongo --host a -u app -p {} admin",
            "redis-cli -h cache -a {} ping",
            "ldapsearch -D cn=admin -w {} -b dc=x",
            "smbclient //x/y -U deploy%{}",
            "echo root:{} | chpasswd",
            "echo \"root:{}\"|chpasswd",
            "echo '{}' | docker login -u x --password-stdin",
            "CREATE USER app IDENTIFIED BY '{}';",
            "DriverManager.getConnection(url, \"app\", \"{}\");",
            "get(url, auth=HTTPBasicAuth('deploy', '{}'))",
            "get(url, auth=('deploy', '{}'))",
            "mysqli_connect('db', 'app', '{}', 'orders');",
            "db.acme.io:5432:orders:app:{}",
        ] {
            assert_eq!(found(&line.replace("{}", pass)).as_deref(), Some(pass), "{line}");
        }
    }

    #[test]
    fn commands_without_one() {
        for line in [
            "curl -u $USER:$PASS https://files.acme.io/x",
            "curl -u user:password https://files.acme.io/x",
            "sshpass -p \"$PASSWORD\" ssh me@box",
            "mysql -u root -p orders2024x",
            "docker run -p 8080:80 acme/app",
            "docker login -u deploy -p $TOKEN registry",
            "getConnection(url, user, password)",
            "auth=('user', 'pass')",
            "auth=(user, get_password('x1y2z3'))",
            "localhost:5432:5432",
            "IDENTIFIED BY 'password'",
        ] {
            assert_eq!(found(line), None, "{line}");
        }
    }
}
