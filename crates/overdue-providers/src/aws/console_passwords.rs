//! Console passwords of IAM users, from the credential report.

use jiff::Timestamp;
use overdue_core::{Credential, CredentialKind, Evidence, IssuedAt, LastUsed, Status};

use super::credential_report::{self, Flag, Row, When};
use super::iam::User;
use super::session::Session;

/// IAM has tracked console sign-ins since this day; `no_information` means "never since then".
const TRACKED_SINCE: Timestamp = Timestamp::constant(1_413_763_200, 0); // 2014-10-20

/// The user's password, if it has one.
pub(super) fn of_user(session: &Session, user: &User) -> Option<Credential> {
    let row = user.row.as_ref().filter(|row| matches!(row.password_enabled, Flag::Yes | Flag::Strange))?;
    let evidence = || Evidence { source: credential_report::SOURCE.to_owned(), lag: credential_report::LAG };
    let issued_at = match &row.password_last_changed {
        When::At(at) => IssuedAt::At { at: *at, evidence: evidence() },
        _ => IssuedAt::Untold,
    };
    let id = format!("user/{}", user.name);
    let mut password =
        user.credential(session, CredentialKind::AwsConsolePassword, &id, Status::Active, issued_at, last_used(row, evidence()));
    password.expires_at = match &row.password_next_rotation {
        When::At(at) => Some(*at),
        _ => None,
    };
    if row.mfa_active == Flag::No {
        password.notes.push("no MFA".to_owned());
    }
    Some(password)
}

fn last_used(row: &Row, evidence: Evidence) -> LastUsed {
    let word = match &row.password_last_used {
        When::At(at) => return LastUsed::At { at: *at, by: None, evidence },
        When::NoInformation => {
            let since = match &row.password_last_changed {
                When::At(at) => (*at).max(TRACKED_SINCE),
                _ => TRACKED_SINCE,
            };
            return LastUsed::NeverSince { since, evidence };
        }
        // "There is no password", for a password that is there: the report contradicts itself.
        When::NotApplicable => "N/A",
        When::NotSupported => "not_supported",
        When::Strange(word) => word,
    };
    LastUsed::Unreadable { why: format!("the credential report says `{word}` for the last use of this password") }
}

#[cfg(test)]
mod tests {
    use super::super::credential_report::tests::row;
    use super::*;

    fn used(word: &str, changed: &str) -> LastUsed {
        let line = format!("u,a,N/A,true,{word},{changed},N/A,false,false,N/A,N/A,N/A,N/A,false,N/A,N/A,N/A,N/A,false,N/A,false,N/A");
        last_used(&row(&line), Evidence { source: "x".to_owned(), lag: credential_report::LAG })
    }

    #[test]
    fn sign_ins_are_told_apart() {
        let since = |used| match used {
            LastUsed::NeverSince { since, .. } => since.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(since(used("no_information", "2024-01-01T00:00:00+00:00")), "2024-01-01T00:00:00Z");
        assert_eq!(since(used("no_information", "2011-01-01T00:00:00+00:00")), "2014-10-20T00:00:00Z");
        assert_eq!(since(used("no_information", "N/A")), "2014-10-20T00:00:00Z");
        assert!(matches!(used("2024-02-02T00:00:00Z", "N/A"), LastUsed::At { .. }));
        for word in ["N/A", "not_supported", "soon"] {
            assert!(matches!(used(word, "N/A"), LastUsed::Unreadable { .. }), "{word}");
        }
    }
}
