//! Prints what the AWS provider sees with the ambient credentials, one fact a line, in a stable order: for trying it against
//! an account or an emulator. It never prints a variable's value or a byte of an artifact.
//!
//! ```text
//! AWS_ENDPOINT_URL=http://127.0.0.1:5000 cargo run --example aws_dump -- [--organization ROLE EXTERNAL_ID] [--region R]…
//!     [--objects GLOB]… [--versions] [--fetch] [--calls]
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use jiff::Timestamp;
use overdue_core::{AwsAccounts, AwsAudit, AwsRead, FunctionsSpec, Gap, ObjectsSpec, Region, Regions, RoleSpec, Target};
use overdue_providers::aws::{Aws, AwsOptions};
use overdue_providers::{Body, Listed, Provider};

type Failure = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = Arguments::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        match word.as_str() {
            "--organization" => arguments.organization = Some((value()?, value()?)),
            "--region" => arguments.regions.push(Region::new(value()?)),
            "--objects" => arguments.globs.push(value()?),
            "--versions" => arguments.versions = true,
            "--fetch" => arguments.fetch = true,
            "--calls" => arguments.calls = true,
            _ => return Err(format!("unknown: {word}").into()),
        }
    }
    #[expect(clippy::disallowed_methods, reason = "an example is a program of its own")]
    let now = Timestamp::now();
    let mut lines = Vec::new();
    let aws = match Aws::connect(arguments.audit()?, now, AwsOptions::default()).await {
        Ok(aws) => aws,
        Err(error) => return Err(error.into()),
    };
    dump(&aws, arguments.fetch, &mut lines).await;
    lines.sort();
    let mut out = std::io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    if arguments.calls {
        for (name, count) in aws.calls() {
            writeln!(out, "calls {name} {count}")?;
        }
    }
    Ok(())
}

#[derive(Default)]
struct Arguments {
    organization: Option<(String, String)>,
    regions: Vec<Region>,
    globs: Vec<String>,
    versions: bool,
    fetch: bool,
    calls: bool,
}

impl Arguments {
    fn audit(&self) -> Result<AwsAudit, Failure> {
        let mut include = GlobSetBuilder::new();
        for glob in &self.globs {
            include.add(GlobBuilder::new(glob).literal_separator(true).build()?);
        }
        let role = |(name, external_id): &(String, String)| RoleSpec {
            name: name.clone(),
            external_id: Some(external_id.clone()),
            session_name: "overdue-dump".to_owned(),
        };
        Ok(AwsAudit {
            accounts: if self.organization.is_some() { AwsAccounts::Organization } else { AwsAccounts::Ambient },
            role: self.organization.as_ref().map(role),
            regions: if self.regions.is_empty() { Regions::Enabled } else { Regions::Named(self.regions.clone()) },
            read: AwsRead::DEFAULT.into_iter().collect::<BTreeSet<_>>(),
            objects: ObjectsSpec {
                include: include.build()?,
                include_text: self.globs.clone(),
                exclude: GlobSet::empty(),
                size_bytes_max: 2 << 30,
                bucket_bytes_max: 100 << 30,
                versions: self.versions,
            },
            functions: FunctionsSpec { versions_max: 50 },
        })
    }
}

async fn dump(aws: &Aws, fetch: bool, lines: &mut Vec<String>) {
    let discovery = aws.discover().await;
    lines.extend(
        discovery
            .accounts
            .iter()
            .map(|account| format!("account {} {:?} {:?} {:?}", account.id, account.name, account.tags, account.contacts)),
    );
    lines.extend(discovery.done.iter().map(|(target, state)| format!("done {} {state:?}", target.id())));
    lines.extend(discovery.gaps.iter().map(gap_line));
    let mut seen = BTreeMap::new();
    for target in &discovery.targets {
        lines.push(format!("target {}", target.id()));
        credentials(aws, target, lines).await;
        artifacts(aws, target, fetch, &mut seen, lines).await;
    }
    lines.extend(aws.remarks().iter().map(|remark| format!("remark {remark}")));
}

async fn credentials(aws: &Aws, target: &Target, lines: &mut Vec<String>) {
    let mut cursor = None;
    loop {
        let page = aws.credentials(target, cursor.as_ref()).await;
        lines.extend(page.gaps.iter().map(gap_line));
        for c in &page.items {
            lines.push(format!(
                "credential {} name={:?} principal={} {:?} issued={:?} used={:?} expires={:?} tags={:?} notes={:?}",
                c.id, c.name, c.principal.arn, c.status, c.issued_at, c.last_used, c.expires_at, c.tags, c.notes
            ));
        }
        cursor = page.next;
        if cursor.is_none() {
            return;
        }
    }
}

async fn artifacts(aws: &Aws, target: &Target, fetch: bool, seen: &mut BTreeMap<String, ()>, lines: &mut Vec<String>) {
    let mut cursor = None;
    loop {
        let page = aws.artifacts(target, cursor.as_ref()).await;
        lines.extend(page.gaps.iter().map(gap_line));
        for Listed { artifact, body } in page.items {
            let fresh = artifact.content.as_ref().is_none_or(|content| seen.insert(content.0.clone(), ()).is_none());
            let got = match body {
                Some(body) => read(body).await,
                None if fetch && fresh => match aws.fetch(target, &artifact).await {
                    Ok(body) => read(body).await,
                    Err(gap) => gap_line(&gap),
                },
                None => "not fetched".to_owned(),
            };
            lines.push(format!(
                "artifact {:?} content={:?} size={:?} modified={:?} latest={} tags={:?} notes={:?}: {got}",
                artifact.id.to_string(),
                artifact.content,
                artifact.size_bytes,
                artifact.modified_at,
                artifact.latest,
                artifact.tags,
                artifact.notes
            ));
        }
        cursor = page.next;
        if cursor.is_none() {
            return;
        }
    }
}

async fn read(body: Body) -> String {
    match body {
        Body::Bytes(bytes) => format!("{} bytes held", bytes.len()),
        Body::Variables(pairs) => format!("variables {:?}", pairs.iter().map(|(name, _)| name).collect::<Vec<_>>()),
        Body::Reader { mut reader, fault, .. } => {
            let read = tokio::task::spawn_blocking(move || std::io::copy(&mut reader.by_ref(), &mut std::io::sink())).await;
            match (read, fault.take()) {
                (Ok(Ok(count)), None) => format!("{count} bytes streamed"),
                (_, Some(gap)) => gap_line(&gap),
                (_, None) => "broke off without a word".to_owned(),
            }
        }
    }
}

fn gap_line(gap: &Gap) -> String {
    let size = if gap.open_ended { "open" } else { "one" };
    format!("gap {} {} {size} {:?}: {} [{}] {}", gap.target, gap.reason, gap.subject, gap.detail, gap.permission, gap.mend)
}
