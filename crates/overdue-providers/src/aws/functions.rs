//! Lambda functions of one region: code and environment of `$LATEST` and of every published version, and their layers.
//!
//! An old version stays callable, so what lies in it counts. One listing brings all versions with their variables; AWS may
//! split a function's versions over pages and give them in any order, so the listing is read to its end before anything is
//! handed on. Code is downloaded only when the scanner has not seen its SHA-256 before.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_lambda::types::{FunctionConfiguration, FunctionVersion, PackageType};
use jiff::Timestamp;
use overdue_core::{Artifact, ArtifactId, ArtifactKind, ContentKey, Cursor, Gap, GapReason, Page, ProviderKind, Region, Target};

use super::download::Link;
use super::errors::{Refusal, listed, mend_of};
use super::paging::{Next, Tokens};
use super::permissions;
use super::session::Session;
use super::tags::{self, Tags};
use super::{Hub, layers};
use crate::{Body, Listed};

/// Functions of one page.
const PAGE_FUNCTIONS: usize = 50;
/// Variables of one region held while it is listed. A version has at most 4 KiB of them.
const VARIABLE_BYTES_MAX: usize = 256 << 20;
/// Names written out in a gap that stands for many functions.
const NAMES_MAX: usize = 5;

/// The region's functions, kept while they are handed on page by page.
pub(super) struct Listing {
    functions: Vec<Function>,
    layers: BTreeMap<String, layers::Layer>,
    gaps: Vec<Gap>,
}

struct Function {
    name: String,
    tags: Tags,
    /// Newest first.
    versions: Vec<Version>,
    gaps: Vec<Gap>,
}

struct Version {
    /// `$LATEST` or a number.
    label: String,
    sha256: Option<String>,
    size_bytes: Option<u64>,
    modified_at: Option<Timestamp>,
    runtime: Option<String>,
    in_image: bool,
    variables: Variables,
    layers: Vec<(String, Option<u64>)>,
}

enum Variables {
    None,
    Told(Vec<(String, String)>),
    /// AWS could not decrypt them: its code and message.
    Sealed(String, String),
    /// Left out, since the limit of held variables was reached.
    TooMany,
}

/// One page of the region's artifacts. The cursor is the name of the last function handed on.
pub(super) async fn page(hub: &Hub, session: &Session, target: &Target, cursor: Option<&Cursor>) -> Page<Listed> {
    let region = target.region.clone().unwrap_or_else(|| Region::new(session.home()));
    let listing = match cursor.and_then(|_| hub.functions.get(target)) {
        Some(listing) => listing,
        None => hub.functions.put(target, list(hub, session, target, &region).await),
    };
    let start = cursor.map_or(0, |cursor| listing.functions.partition_point(|function| function.name <= cursor.0));
    let end = (start + PAGE_FUNCTIONS).min(listing.functions.len());
    let mut page = Page::default();
    if cursor.is_none() {
        page.gaps.extend(listing.gaps.iter().cloned());
        page.items.extend(listing.layers.iter().map(|(arn, layer)| layers::listed(session, &region, arn, layer)));
    }
    for function in &listing.functions[start..end] {
        page.gaps.extend(function.gaps.iter().cloned());
        page.items.extend(function.versions.iter().flat_map(|version| artifacts(session, &region, function, version)));
    }
    match listing.functions.get(end.saturating_sub(1)) {
        Some(last) if end < listing.functions.len() => page.next = Some(Cursor(last.name.clone())),
        _ => hub.functions.clear(target),
    }
    page
}

/// Reads the listing to its end.
async fn list(hub: &Hub, session: &Session, target: &Target, region: &Region) -> Listing {
    let mut grouped = Grouped::new(hub.audit.functions.versions_max.max(1) as usize);
    let refusal = list_into(&mut grouped, session, region).await.err();
    let mut gaps: Vec<Gap> = refusal.map(|refusal| refusal.open_gap(target, "functions of the region")).into_iter().collect();
    let mut functions = grouped.functions(target);
    if !functions.is_empty() {
        let (by_arn, gap) = tags::by_arn(session, region.as_str(), "lambda:function", target).await;
        gaps.extend(gap);
        for function in &mut functions {
            let arn = format!("arn:{}:lambda:{region}:{}:function:{}", session.partition.name, session.account, function.name);
            function.tags = by_arn.get(&arn).cloned().unwrap_or_default();
        }
    }
    gaps.extend(images(target, &functions));
    let layers = layers_of(&functions);
    Listing { functions, layers, gaps }
}

async fn list_into(grouped: &mut Grouped, session: &Session, region: &Region) -> Result<(), Refusal> {
    let lambda = session.lambda(region);
    let (mut tokens, mut marker) = (Tokens::default(), None);
    loop {
        let ask = |sdk: &aws_sdk_lambda::Client| {
            sdk.list_functions().function_version(FunctionVersion::All).max_items(50).set_marker(marker.take()).send()
        };
        let answer = lambda.call(permissions::LIST_FUNCTIONS, ask).await?;
        let found = listed(permissions::LIST_FUNCTIONS, answer.functions)?;
        let count = found.len();
        found.into_iter().for_each(|found| grouped.add(found));
        match tokens.step("lambda:ListFunctions", count, Next::by_token(answer.next_marker))? {
            Some(next) => marker = Some(next),
            None => return Ok(()),
        }
    }
}

/// Versions by function, as many of the newest as are wanted.
struct Grouped {
    versions_max: usize,
    held_bytes: usize,
    functions: BTreeMap<String, Group>,
}

#[derive(Default)]
struct Group {
    /// By number; `$LATEST` is the newest of all.
    versions: BTreeMap<u64, Version>,
    left_out: BTreeSet<u64>,
}

impl Grouped {
    fn new(versions_max: usize) -> Self {
        Self { versions_max, held_bytes: 0, functions: BTreeMap::new() }
    }

    fn add(&mut self, found: FunctionConfiguration) {
        let Some(name) = found.function_name.clone() else { return };
        let number = match found.version() {
            None | Some("$LATEST") => u64::MAX,
            Some(number) => number.parse().unwrap_or(0),
        };
        let mut version = read(found);
        let bytes = version.variables.bytes();
        if self.held_bytes + bytes > VARIABLE_BYTES_MAX {
            version.variables = Variables::TooMany;
        } else {
            self.held_bytes += bytes;
        }
        let group = self.functions.entry(name).or_default();
        group.versions.insert(number, version);
        if group.versions.len() > self.versions_max
            && let Some((number, oldest)) = group.versions.pop_first()
        {
            self.held_bytes = self.held_bytes.saturating_sub(oldest.variables.bytes());
            group.left_out.insert(number);
        }
    }

    fn functions(self, target: &Target) -> Vec<Function> {
        let versions_max = self.versions_max;
        self.functions
            .into_iter()
            .map(|(name, group)| {
                let versions: Vec<Version> = group.versions.into_values().rev().collect();
                let gaps = gaps_of(target, &name, &versions, group.left_out.len(), versions_max);
                Function { name, tags: Tags::new(), versions, gaps }
            })
            .collect()
    }
}

impl Variables {
    fn bytes(&self) -> usize {
        match self {
            Self::Told(pairs) => pairs.iter().map(|(name, value)| name.len() + value.len()).sum(),
            _ => 0,
        }
    }
}

fn read(found: FunctionConfiguration) -> Version {
    let variables = match found.environment {
        Some(environment) => match (environment.error, environment.variables) {
            (Some(error), _) => Variables::Sealed(error.error_code.unwrap_or_default(), error.message.unwrap_or_default()),
            (None, Some(variables)) if !variables.is_empty() => {
                let mut pairs: Vec<(String, String)> = variables.into_iter().collect();
                pairs.sort();
                Variables::Told(pairs)
            }
            (None, _) => Variables::None,
        },
        None => Variables::None,
    };
    Version {
        label: found.version.unwrap_or_else(|| "$LATEST".to_owned()),
        sha256: found.code_sha256.filter(|sha256| !sha256.is_empty()),
        size_bytes: u64::try_from(found.code_size).ok(),
        modified_at: found.last_modified.as_deref().and_then(modified_at),
        runtime: found.runtime.map(|runtime| runtime.as_str().to_owned()),
        in_image: found.package_type == Some(PackageType::Image),
        variables,
        layers: found.layers.unwrap_or_default().into_iter().filter_map(|l| Some((l.arn?, u64::try_from(l.code_size).ok()))).collect(),
    }
}

/// Lambda writes `2024-05-06T07:08:09.000+0000`.
fn modified_at(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| Timestamp::strptime("%Y-%m-%dT%H:%M:%S%.f%z", text).ok())
}

/// What cannot be seen of one function.
fn gaps_of(target: &Target, name: &str, versions: &[Version], left_out: usize, versions_max: usize) -> Vec<Gap> {
    let mut gaps = Vec::new();
    if left_out > 0 {
        let detail = format!("{left_out} older versions of function {name}; the limit is the newest {versions_max} of a function");
        let mend = "Delete old versions that nobody calls, or raise the limit in the job";
        let subject = format!("function/{name}: {left_out} older versions");
        gaps.push(Refusal::new(GapReason::TooMany, detail, mend).gap(target, subject));
    }
    let labels = |wanted: fn(&Variables) -> bool| {
        versions.iter().filter(|version| wanted(&version.variables)).map(|version| version.label.as_str()).collect::<Vec<_>>()
    };
    let subject = |labels: &[&str]| match labels {
        [one] => format!("function/{name}/{one}/environment"),
        several => format!("environment of {} versions of function {name}", several.len()),
    };
    let sealed = labels(|variables| matches!(variables, Variables::Sealed(..)));
    if let Some((code, message)) = versions.iter().find_map(|version| match &version.variables {
        Variables::Sealed(code, message) => Some((code, message)),
        _ => None,
    }) {
        let said = super::errors::plain(&format!("{code}: {message}"));
        let detail = format!("AWS could not decrypt the variables for us: {said}");
        let mut refusal =
            Refusal::new(GapReason::Encrypted, detail, "Allow the audit role kms:Decrypt on the function's key, or accept the gap");
        if code.contains("AccessDenied") {
            (refusal.reason, refusal.permission) = (GapReason::Denied, "kms:Decrypt");
        }
        gaps.push(refusal.gap(target, subject(&sealed)));
    }
    let too_many = labels(|variables| matches!(variables, Variables::TooMany));
    if !too_many.is_empty() {
        let detail = format!("the region's variables are more than {VARIABLE_BYTES_MAX} bytes");
        gaps.push(Refusal::new(GapReason::TooMany, detail, "Lower the number of versions read in the job").gap(target, subject(&too_many)));
    }
    gaps
}

/// One gap for all functions whose code is a container image.
fn images(target: &Target, functions: &[Function]) -> Option<Gap> {
    let names: Vec<&str> =
        functions.iter().filter(|function| function.versions.iter().any(|v| v.in_image)).map(|function| function.name.as_str()).collect();
    let subject = match names.as_slice() {
        [] => return None,
        [one] => format!("function/{one}: code in a container image"),
        several => {
            let named = several.iter().take(NAMES_MAX).copied().collect::<Vec<_>>().join(", ");
            let more = if several.len() > NAMES_MAX { ", …" } else { "" };
            format!("code of {} functions in container images: {named}{more}", several.len())
        }
    };
    let detail = "code in a container image is not read; its environment is";
    Some(Refusal::new(GapReason::Unsupported, detail, "Scan the image in its registry").gap(target, subject))
}

fn layers_of(functions: &[Function]) -> BTreeMap<String, layers::Layer> {
    let mut all: BTreeMap<String, layers::Layer> = BTreeMap::new();
    for function in functions {
        for (arn, size_bytes) in function.versions.iter().flat_map(|version| &version.layers) {
            let layer = all.entry(arn.clone()).or_insert_with(|| layers::Layer { size_bytes: *size_bytes, users: BTreeSet::new() });
            layer.users.insert(function.name.clone());
        }
    }
    all
}

fn artifacts(session: &Session, region: &Region, function: &Function, version: &Version) -> Vec<Listed> {
    let mut notes: Vec<String> = version.runtime.iter().map(|runtime| format!("runtime {runtime}")).collect();
    if version.in_image {
        notes.push("code in a container image".to_owned());
    }
    let artifact = |kind, part: &str, content, size_bytes| Artifact {
        id: ArtifactId {
            provider: ProviderKind::Aws,
            account: session.account.clone(),
            region: Some(region.clone()),
            name: format!("function/{}/{}/{part}", function.name, version.label),
        },
        kind,
        content,
        size_bytes,
        modified_at: version.modified_at,
        tags: function.tags.clone(),
        notes: notes.clone(),
        latest: version.label == "$LATEST",
    };
    let mut listed = Vec::new();
    if !version.in_image {
        let content = version.sha256.as_ref().map(|sha256| ContentKey(format!("sha256:{sha256}")));
        listed.push(Listed { artifact: artifact(ArtifactKind::FunctionCode, "code", content, version.size_bytes), body: None });
    }
    if let Variables::Told(pairs) = &version.variables {
        let size_bytes = u64::try_from(version.variables.bytes()).ok();
        let artifact = artifact(ArtifactKind::FunctionEnvironment, "environment", None, size_bytes);
        listed.push(Listed { artifact, body: Some(Body::Variables(pairs.clone())) });
    }
    listed
}

/// Downloads the code of one version.
pub(super) async fn fetch(session: &Session, target: &Target, artifact: &Artifact) -> Result<Body, Gap> {
    let subject = artifact.id.name.as_str();
    let link = locate(session, target, artifact).await.map_err(|refusal| refusal.gap(target, subject))?;
    session.wire().http.download(link, &session.wire().calls, target, subject).await
}

async fn locate(session: &Session, target: &Target, artifact: &Artifact) -> Result<Link, Refusal> {
    let mut parts = artifact.id.name.split('/').skip(1);
    let (Some(name), Some(version)) = (parts.next(), parts.next()) else {
        let detail = format!("{} names no function", artifact.id.name);
        return Err(Refusal::new(GapReason::Internal, detail, mend_of(GapReason::Internal)));
    };
    let region = target.region.clone().unwrap_or_else(|| Region::new(session.home()));
    let ask = |sdk: &aws_sdk_lambda::Client| sdk.get_function().function_name(name).qualifier(version).send();
    let answer = session.lambda(&region).call(permissions::GET_FUNCTION, ask).await?;
    let sha256 = answer.configuration.as_ref().and_then(|configuration| configuration.code_sha256.clone());
    let listed = artifact.content.as_ref().and_then(|content| content.0.strip_prefix("sha256:"));
    if let (Some(listed), Some(now)) = (listed, sha256.as_deref())
        && listed != now
    {
        let detail = "the code was changed between listing and reading it";
        return Err(Refusal::new(GapReason::Vanished, detail, mend_of(GapReason::Vanished)));
    }
    let code = answer.code.unwrap_or_else(|| aws_sdk_lambda::types::FunctionCodeLocation::builder().build());
    match code.location {
        Some(url) if code.repository_type.as_deref() != Some("ECR") => {
            Ok(Link { url, sha256: listed.map(str::to_owned).or(sha256), size_bytes: artifact.size_bytes })
        }
        _ => {
            let said =
                code.error.map(|error| super::errors::plain(&format!("{error:?}"))).unwrap_or_else(|| "no reason is given".to_owned());
            let detail = format!("lambda:GetFunction names no place to download the code from: {said}");
            Err(Refusal::new(GapReason::ProviderFault, detail, mend_of(GapReason::ProviderFault)))
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_lambda::types::{EnvironmentError, EnvironmentResponse, Layer};
    use overdue_core::{AccountId, TargetKind};

    use super::*;

    fn target() -> Target {
        Target {
            provider: ProviderKind::Aws,
            account: AccountId::new("111111111111"),
            region: Some(Region::new("eu-west-1")),
            kind: TargetKind::Functions,
            name: String::new(),
        }
    }
    fn found(name: &str, version: &str) -> FunctionConfiguration {
        FunctionConfiguration::builder().function_name(name).version(version).code_sha256(format!("{name}{version}=")).build()
    }
    fn grouped(versions_max: usize, found: Vec<FunctionConfiguration>) -> Vec<Function> {
        let mut grouped = Grouped::new(versions_max);
        found.into_iter().for_each(|found| grouped.add(found));
        grouped.functions(&target())
    }
    fn labels(function: &Function) -> Vec<&str> {
        function.versions.iter().map(|version| version.label.as_str()).collect()
    }

    #[test]
    fn versions_come_together_newest_first_whatever_their_order() {
        let order = [("b", "2"), ("a", "10"), ("a", "$LATEST"), ("b", "$LATEST"), ("a", "9"), ("b", "1"), ("a", "9")];
        let functions = grouped(10, order.iter().map(|(name, version)| found(name, version)).collect());
        assert_eq!(functions.iter().map(|function| function.name.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(labels(&functions[0]), ["$LATEST", "10", "9"]);
        assert_eq!(labels(&functions[1]), ["$LATEST", "2", "1"]);
        assert!(functions.iter().all(|function| function.gaps.is_empty()));
    }

    #[test]
    fn versions_above_the_limit_are_one_counted_gap() {
        let functions = grouped(3, (1..=7).map(|n| found("a", &n.to_string())).chain([found("a", "$LATEST"), found("a", "1")]).collect());
        assert_eq!(labels(&functions[0]), ["$LATEST", "7", "6"]);
        let gap = &functions[0].gaps[0];
        assert_eq!((gap.reason, gap.subject.as_str(), gap.open_ended), (GapReason::TooMany, "function/a: 5 older versions", false));
    }

    #[test]
    fn sealed_variables_are_a_gap_and_images_are_counted() {
        let error = EnvironmentError::builder().error_code("AccessDeniedException").message("kms").build();
        let sealed = FunctionConfiguration::builder()
            .function_name("a")
            .version("$LATEST")
            .package_type(PackageType::Image)
            .environment(EnvironmentResponse::builder().error(error).build())
            .build();
        let functions = grouped(3, vec![sealed, found("b", "1")]);
        let gap = &functions[0].gaps[0];
        assert_eq!((gap.reason, gap.permission.as_str()), (GapReason::Denied, "kms:Decrypt"));
        assert_eq!(gap.subject, "function/a/$LATEST/environment");
        assert_eq!(images(&target(), &functions).unwrap().subject, "function/a: code in a container image");
    }

    #[test]
    fn layers_are_listed_once_with_their_users() {
        let with = |name: &str, version: &str| {
            let layer = Layer::builder().arn("arn:aws:lambda:eu-west-1:1:layer:l:2").code_size(7).build();
            FunctionConfiguration::builder().function_name(name).version(version).layers(layer).build()
        };
        let layers = layers_of(&grouped(3, vec![with("a", "1"), with("a", "$LATEST"), with("b", "1")]));
        let layer = &layers["arn:aws:lambda:eu-west-1:1:layer:l:2"];
        assert_eq!((layers.len(), layer.size_bytes, layer.users.len()), (1, Some(7), 2));
    }

    #[test]
    fn dates_are_read_as_lambda_writes_them() {
        assert_eq!(modified_at("2024-05-06T07:08:09.123+0000").unwrap().to_string(), "2024-05-06T07:08:09.123Z");
        assert_eq!(modified_at("2024-05-06T07:08:09Z").unwrap().to_string(), "2024-05-06T07:08:09Z");
        assert_eq!(modified_at("yesterday"), None);
    }
}
