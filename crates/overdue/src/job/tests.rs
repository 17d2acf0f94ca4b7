//! What a job file may say, and every complaint at once.

use expect_test::{Expect, expect};

use super::*;

fn complaints(text: &str, expected: Expect) {
    let list = match check(Path::new("jobs/x.toml"), text) {
        Ok(_) => Vec::new(),
        Err(list) => list,
    };
    let text: Vec<String> = list.iter().map(Problem::to_string).collect();
    expected.assert_eq(&text.join("\n"));
}

const GOOD: &str = r#"
name     = "weekly-audit"
schedule = "0 7 * * MON"
timezone = "Europe/Berlin"
deadline = "6h"
catch_up = "24h"

[[audit]]
provider = "aws"
accounts = { organization = true, role = "overdue-audit", external_id = "x" }
regions  = "enabled"
read     = ["iam", "functions", "objects", "secrets"]
objects  = { include = ["s3://*-artifacts/**"], exclude = ["**/*.parquet"], size_max = "2 GiB" }

[[audit]]
provider = "machine"
paths    = ["repos"]

[policy]
rotate_after = { default = "90d", "aws.iam-access-key" = "60d" }
unused_after = "45d"
due_soon     = "14d"
[[policy.exemption]]
credential = "AKIA…"
reason     = "vendor cannot rotate before the March release"
until      = 2027-03-31

[owners]
from = ["tags", "owners-file", "creator", "codeowners", "account-contact"]

[letters]
template = "rotation-due"
send     = { smtp = { host = "mail.example.com", from = "overdue@example.com" } }
"#;

#[test]
fn a_whole_job_is_read() {
    let job = check(Path::new("jobs/x.toml"), GOOD).expect("a good job");
    assert_eq!(job.name, "weekly-audit");
    assert_eq!(job.policy.rotate_after(CredentialKind::AwsIamAccessKey), 60);
    assert_eq!(job.policy.rotate_after(CredentialKind::AwsSecret), 90);
    // The exemption holds to the end of its day in Berlin, where summer time has begun.
    assert_eq!(job.policy.exemptions[0].until.to_string(), "2027-03-31T22:00:00Z");
    let Audit::Aws(aws) = &job.audits[0] else { panic!("the first audit is of AWS") };
    assert_eq!(aws.accounts, AwsAccounts::Organization);
    assert!(aws.objects.include.is_match("s3://build-artifacts/a/b.zip") && !aws.objects.include.is_match("s3://logs/a"));
    let Audit::Machine(machine) = &job.audits[1] else { panic!("the second audit is of this machine") };
    assert_eq!(machine.paths, [PathBuf::from("jobs/repos")]);
    let Delivery::Smtp(server) = &job.letters.delivery else { panic!("letters go by SMTP") };
    assert_eq!((server.port, server.tls), (587, TlsMode::StartTls));
}

#[test]
fn everything_wrong_is_said_at_once() {
    complaints(
        r#"
name = "two words"
shedule = "0 7 * * MON"
schedule = "0 25 * * MON"
timezone = "Europe/Berlinn"
deadline = "6 parsecs"

[[audit]]
provider = "awz"

[[audit]]
provider = "aws"
accounts = ["123"]
regions = ["eu-west"]
read = ["iams", "logs"]
objects = { include = ["s3://[a"], size_max = "2 gib" }

[policy]
rotate_after = { default = "90h", "aws.iam-acces-key" = "60d" }
[[policy.exemption]]
credential = "AKIA"
until = "soon"

[letters]
period = "weakly"
send = { smtp = { host = "mail", password = "x", user = "u" } }
"#,
        expect![[r#"
            jobs/x.toml:2: `name` may hold letters, digits, `-` and `_`, at most 64
            jobs/x.toml:3: unknown field `shedule` in the job; did you mean `schedule`?
            jobs/x.toml:4: `schedule` is not a cron line: "0 25 * * MON": Component error: Number out of bounds; write five fields (minute hour day month weekday), such as "0 7 * * MON"
            jobs/x.toml:5: `Europe/Berlinn` is not a time zone of the IANA database; write one such as "Europe/Berlin" or "UTC"
            jobs/x.toml:6: `deadline` must be a time such as "90d", "6h", "30m"; not "6 parsecs"
            jobs/x.toml:9: provider `awz` is not in this version; did you mean `aws`?
            jobs/x.toml:13: `123` is not an AWS account id: it has 12 digits, in quotes
            jobs/x.toml:14: `eu-west` is not an AWS region; write one such as "eu-west-1"
            jobs/x.toml:15: `iams` cannot be read; did you mean `iam`?
            jobs/x.toml:15: `logs` is not read by this version; take it out of `read`
            jobs/x.toml:16: `s3://[a` is not a glob: unclosed character class; missing ']'
            jobs/x.toml:16: `size_max` must be a size such as "2 GiB" or "500 MB"; not "2 gib"
            jobs/x.toml:19: `aws.iam-acces-key` is no credential kind; did you mean `aws.iam-access-key`?
            jobs/x.toml:19: `default` counts in whole days; write "90d", not "90h"
            jobs/x.toml:20: an exemption needs a `reason`
            jobs/x.toml:22: `until` must be a date such as 2027-03-31 (no quotes): the last day it holds
            jobs/x.toml:25: `weakly` is no period; did you mean `weekly`?
            jobs/x.toml:26: a password does not belong in a job file; name a `password_file` or a variable in `password_env`
            jobs/x.toml:26: `smtp` names a `user` but no `password_file` or `password_env`"#]],
    );
}

#[test]
fn an_empty_file_and_a_broken_one() {
    complaints(
        "",
        expect![[r#"
        jobs/x.toml:1: a job needs a `name`, such as name = "weekly-audit"
        jobs/x.toml:1: a job needs at least one [[audit]] with a `provider`"#]],
    );
    complaints(
        "name = \n",
        expect![[r#"
        jobs/x.toml:1: this is not TOML: string values must be quoted, expected literal string
        jobs/x.toml:1: `name` may hold letters, digits, `-` and `_`, at most 64
        jobs/x.toml:1: a job needs at least one [[audit]] with a `provider`"#]],
    );
}
