//! What a template may say, checked before it says anything: fields against the shape of the data, constructs against a
//! short list, and, in HTML, every place where data comes out.

use std::collections::BTreeMap;

use handlebars::template::{DecoratorTemplate, HelperTemplate, Parameter, TemplateElement};
use handlebars::{Path, Template};
use serde_json::Value;

use super::TemplateProblem;

/// Elements looked at for one template, all its partials included; more means partials that multiply.
const ELEMENTS_MAX: usize = 20_000;

const BLOCKS: [&str; 4] = ["if", "unless", "each", "with"];
const INLINE: [&str; 10] = ["eq", "ne", "gt", "gte", "lt", "lte", "and", "or", "not", "len"];

/// Elements that load, run or send something, or change where links lead.
const ELEMENTS_REFUSED: [&str; 11] =
    ["script", "iframe", "frame", "object", "embed", "applet", "base", "link", "form", "portal", "fencedframe"];
/// Attributes that hold an address.
const ADDRESSES: [&str; 15] = [
    "href",
    "src",
    "srcset",
    "action",
    "formaction",
    "background",
    "cite",
    "data",
    "poster",
    "ping",
    "xlink:href",
    "lowsrc",
    "dynsrc",
    "longdesc",
    "manifest",
];

/// Refuses constructs no template may hold, in files nothing includes too.
pub(super) fn constructs(templates: &BTreeMap<String, Template>, file: &dyn Fn(&str) -> String, problems: &mut Vec<TemplateProblem>) {
    for (name, template) in templates {
        let mut found = Vec::new();
        refused(template, &mut found);
        problems.extend(found.into_iter().map(|(line, what)| TemplateProblem { file: file(name), line, what }));
    }
}

fn line_of(template: &Template, at: usize) -> usize {
    template.mapping.get(at).map_or(0, |mapping| mapping.0)
}

fn refused(template: &Template, found: &mut Vec<(usize, String)>) {
    for (at, element) in template.elements.iter().enumerate() {
        let line = line_of(template, at);
        match element {
            TemplateElement::HtmlExpression(_) => {
                found.push((line, "`{{{` and `{{&` put data out without escaping; write `{{ }}`".to_owned()));
            }
            TemplateElement::DecoratorExpression(_) | TemplateElement::DecoratorBlock(_) => {
                found.push((line, "decorators such as `{{*inline}}` are not used here; put the piece into partials/".to_owned()));
            }
            TemplateElement::PartialBlock(_) => {
                found.push((line, "`{{#> }}` is not used here; write `{{> partials/name}}`".to_owned()));
            }
            TemplateElement::HelperBlock(helper) => {
                for inner in [&helper.template, &helper.inverse].into_iter().flatten() {
                    refused(inner, found);
                }
            }
            TemplateElement::RawString(_)
            | TemplateElement::Comment(_)
            | TemplateElement::Expression(_)
            | TemplateElement::PartialExpression(_) => {}
            _ => found.push((line, "a construct this program does not know".to_owned())),
        }
    }
}

/// Walks one template as it will be rendered: with its data's shape, its partials, and, for HTML, the place in the page.
pub(super) fn walk(
    templates: &BTreeMap<String, Template>,
    name: &str,
    shape: &Value,
    html: bool,
    file: &dyn Fn(&str) -> String,
    problems: &mut Vec<TemplateProblem>,
) {
    let Some(template) = templates.get(name) else { return };
    let mut walk = Walk { templates, file, problems, root: shape, names: vec![name.to_owned()], budget: ELEMENTS_MAX, floor: 0 };
    let mut page = html.then(Page::default);
    walk.template(template, &mut vec![shape], &mut page);
    if let Some(page) = page.filter(|page| page.at != At::Text) {
        let line = template.mapping.last().map_or(0, |mapping| mapping.0);
        walk.problem(line, format!("ends inside {}", page.at.words()));
    }
}

struct Walk<'a> {
    templates: &'a BTreeMap<String, Template>,
    file: &'a dyn Fn(&str) -> String,
    problems: &'a mut Vec<TemplateProblem>,
    root: &'a Value,
    /// The template and the partials we are in.
    names: Vec<String>,
    budget: usize,
    /// Scopes below this one belong to whoever included this partial.
    floor: usize,
}

impl<'a> Walk<'a> {
    fn problem(&mut self, line: usize, what: impl Into<String>) {
        let name = self.names.last().cloned().unwrap_or_default();
        self.problems.push(TemplateProblem { file: (self.file)(&name), line, what: what.into() });
    }

    fn template(&mut self, template: &'a Template, scopes: &mut Vec<&'a Value>, page: &mut Option<Page>) {
        for (at, element) in template.elements.iter().enumerate() {
            let Some(budget) = self.budget.checked_sub(1) else { return };
            self.budget = budget;
            if budget == 0 {
                self.problem(0, "partials include one another too often");
            }
            let line = line_of(template, at);
            match element {
                TemplateElement::RawString(text) => {
                    if let Some(page) = page {
                        for (offset, what) in page.feed(text) {
                            self.problem(line + offset, what);
                        }
                    }
                }
                TemplateElement::Expression(helper) => self.expression(helper, line, scopes, page),
                TemplateElement::HelperBlock(helper) => self.block(helper, line, scopes, page),
                TemplateElement::PartialExpression(partial) => self.partial(partial, line, scopes, page),
                // Comments say nothing, and `constructs` refuses the rest.
                _ => {}
            }
        }
    }

    fn expression(&mut self, helper: &'a HelperTemplate, line: usize, scopes: &[&'a Value], page: &mut Option<Page>) {
        if helper.params.is_empty() && helper.hash.is_empty() {
            match self.resolve(&helper.name, line, scopes) {
                Some(Value::Array(_)) => self.problem(line, format!("`{}` is a list; walk it with `{{{{#each}}}}`", text_of(&helper.name))),
                Some(Value::Object(_)) => self.problem(line, format!("`{}` has fields; name one of them", text_of(&helper.name))),
                _ => {}
            }
        } else {
            self.call(helper, line, scopes);
        }
        if let Some(what) = page.as_mut().and_then(Page::value) {
            self.problem(line, what);
        }
    }

    /// A helper that gives a value.
    fn call(&mut self, helper: &'a HelperTemplate, line: usize, scopes: &[&'a Value]) {
        let name = text_of(&helper.name);
        if !INLINE.contains(&name) {
            self.problem(line, format!("there is no helper `{name}`; there are {}", INLINE.join(", ")));
        }
        if !helper.hash.is_empty() {
            self.problem(line, format!("`{name}` takes no named parameters"));
        }
        for parameter in &helper.params {
            self.parameter(parameter, line, scopes);
        }
    }

    fn parameter(&mut self, parameter: &'a Parameter, line: usize, scopes: &[&'a Value]) {
        match parameter {
            Parameter::Literal(_) => {}
            Parameter::Subexpression(inner) => match inner.as_element() {
                TemplateElement::Expression(helper) if helper.params.is_empty() => {
                    self.resolve(&helper.name, line, scopes);
                }
                TemplateElement::Expression(helper) => self.call(helper, line, scopes),
                _ => {}
            },
            _ => {
                self.resolve(parameter, line, scopes);
            }
        }
    }

    fn block(&mut self, helper: &'a HelperTemplate, line: usize, scopes: &mut Vec<&'a Value>, page: &mut Option<Page>) {
        let name = text_of(&helper.name);
        if !BLOCKS.contains(&name) {
            return self.problem(line, format!("there is no block `{name}`; there are {}", BLOCKS.join(", ")));
        }
        if helper.block_param.is_some() || !helper.hash.is_empty() || helper.params.len() != 1 {
            return self.problem(line, format!("write `{{{{#{name} field}}}}`: one field, no `as |name|`, no named parameters"));
        }
        let parameter = &helper.params[0];
        let inner = match name {
            "each" | "with" => {
                let path = text_of(parameter);
                if path.is_empty() || path.contains("..") || path.starts_with('@') {
                    self.problem(line, format!("`{{{{#{name}}}}}` walks down only: name a field of what surrounds it"));
                    return;
                }
                match (name, self.resolve(parameter, line, scopes)) {
                    (_, None) => return,
                    ("each", Some(Value::Array(items))) => match items.first() {
                        Some(item) => Some(item),
                        None => return,
                    },
                    ("with", Some(object @ Value::Object(_))) => Some(object),
                    ("each", _) => return self.problem(line, format!("`{path}` is no list")),
                    _ => return self.problem(line, format!("`{path}` has no fields")),
                }
            }
            _ => {
                self.parameter(parameter, line, scopes);
                None
            }
        };
        let before = page.clone();
        if let Some(body) = &helper.template {
            if let Some(inner) = inner {
                scopes.push(inner);
                self.template(body, scopes, page);
                scopes.pop();
            } else {
                self.template(body, scopes, page);
            }
        }
        let mut other = before.clone();
        if let Some(body) = &helper.inverse {
            self.template(body, scopes, &mut other);
        }
        if *page != other || (name == "each" && *page != before) {
            self.problem(
                line,
                format!(
                    "`{{{{#{name}}}}}` must end at the same place of the page in each of its branches: close the tag or quote it opens"
                ),
            );
            *page = before;
        }
    }

    fn partial(&mut self, partial: &'a DecoratorTemplate, line: usize, scopes: &mut Vec<&'a Value>, page: &mut Option<Page>) {
        let name = match &partial.name {
            Parameter::Name(name) => name.clone(),
            Parameter::Path(Path::Relative((_, raw))) => raw.clone(),
            _ => return self.problem(line, "a partial is named, not computed"),
        };
        if !partial.hash.is_empty() || partial.params.len() > 1 {
            return self.problem(line, "a partial takes at most one field");
        }
        if self.names.contains(&name) {
            return self.problem(line, format!("`{name}` would include itself"));
        }
        let Some(template) = self.templates.get(&name).filter(|_| name.starts_with("partials/")) else {
            let known: Vec<&str> = self.templates.keys().map(String::as_str).filter(|name| name.starts_with("partials/")).collect();
            return self.problem(line, format!("there is no partial `{name}`; there are {}", known.join(", ")));
        };
        let scope = match partial.params.first() {
            None => scopes.last().copied(),
            Some(parameter) if text_of(parameter).contains("..") || text_of(parameter).starts_with('@') => {
                return self.problem(line, "a partial walks down only: name a field of what surrounds it");
            }
            Some(parameter) => self.resolve(parameter, line, scopes),
        };
        let Some(scope) = scope else { return };
        let floor = std::mem::replace(&mut self.floor, scopes.len());
        self.names.push(name);
        scopes.push(scope);
        self.template(template, scopes, page);
        scopes.pop();
        self.names.pop();
        self.floor = floor;
    }

    /// The shape a path leads to; `None` when it leads nowhere, which has been told.
    fn resolve(&mut self, parameter: &'a Parameter, line: usize, scopes: &[&'a Value]) -> Option<&'a Value> {
        let raw = match parameter {
            Parameter::Name(name) => name.as_str(),
            Parameter::Path(Path::Relative((_, raw))) => raw.as_str(),
            Parameter::Path(Path::Local((level, name, raw))) => {
                let known = ["index", "first", "last"].contains(&name.as_str());
                if !known || scopes.len() <= self.floor.max(1) + level {
                    self.problem(line, format!("`{raw}` means nothing here; in `{{{{#each}}}}` there are @index, @first and @last"));
                }
                return Some(&Value::Null);
            }
            _ => return Some(&Value::Null),
        };
        let mut rest = raw;
        let mut level = scopes.len().checked_sub(1)?;
        let mut at = scopes[level];
        if let Some(path) = rest.strip_prefix("@root") {
            at = self.root;
            rest = path.strip_prefix(['.', '/']).unwrap_or(path);
        }
        while let Some(path) = rest.strip_prefix("..") {
            if level <= self.floor {
                self.problem(line, format!("`{raw}` leaves what surrounds it"));
                return None;
            }
            level -= 1;
            at = scopes[level];
            rest = path.strip_prefix(['.', '/']).unwrap_or(path);
        }
        let rest = rest.strip_prefix("./").unwrap_or(rest);
        for segment in rest.split(['.', '/']).filter(|segment| !segment.is_empty() && *segment != "this") {
            let Value::Object(fields) = at else {
                self.problem(line, format!("`{raw}`: there is no field `{segment}` in a text or list"));
                return None;
            };
            match fields.get(segment) {
                Some(inner) => at = inner,
                None => {
                    let nearest = fields.keys().max_by(|a, b| {
                        let near = |field: &str| strsim::jaro_winkler(field, segment);
                        near(a).total_cmp(&near(b))
                    });
                    let nearest = nearest.map_or_else(String::new, |field| format!("; did you mean `{field}`?"));
                    self.problem(line, format!("there is no field `{segment}`{nearest}"));
                    return None;
                }
            }
        }
        Some(at)
    }
}

fn text_of(parameter: &Parameter) -> &str {
    match parameter {
        Parameter::Name(name) => name,
        Parameter::Path(Path::Relative((_, raw)) | Path::Local((_, _, raw))) => raw,
        _ => "",
    }
}

/// Where in a page we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Text,
    TagOpen,
    TagName,
    InTag,
    AttributeName,
    AfterName,
    BeforeValue,
    DoubleQuoted,
    SingleQuoted,
    Comment,
    Declaration,
    Style,
}

impl At {
    const fn words(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::TagOpen | Self::TagName | Self::InTag => "a tag",
            Self::AttributeName | Self::AfterName | Self::BeforeValue => "an attribute",
            Self::DoubleQuoted | Self::SingleQuoted => "an attribute's quotes",
            Self::Comment => "a comment",
            Self::Declaration => "a declaration",
            Self::Style => "a style sheet",
        }
    }
}

/// A small reading of HTML: enough to know where data comes out.
#[derive(Clone, Debug, Default)]
struct Page {
    at: At,
    element: String,
    closing: bool,
    attribute: String,
    /// The attribute's value so far, literal part.
    value: String,
    /// The last characters of a comment or style sheet, to see its end.
    tail: String,
}

impl PartialEq for Page {
    fn eq(&self, other: &Self) -> bool {
        let inside = |page: &Self| (page.at != At::Text).then(|| (page.element.clone(), page.attribute.clone()));
        self.at == other.at && inside(self) == inside(other)
    }
}

impl Page {
    /// Reads literal text; gives what is wrong with it, by lines from its start.
    fn feed(&mut self, text: &str) -> Vec<(usize, String)> {
        let mut problems = Vec::new();
        let mut line = 0;
        for c in text.chars() {
            if let Some(what) = self.step(c) {
                problems.push((line, what));
            }
            if c == '\n' {
                line += 1;
            }
        }
        problems
    }

    fn step(&mut self, c: char) -> Option<String> {
        match self.at {
            At::Text => {
                if c == '<' {
                    self.at = At::TagOpen;
                    self.element.clear();
                    self.closing = false;
                }
            }
            At::TagOpen => match c {
                '/' => self.closing = true,
                '!' => {
                    self.at = At::Declaration;
                    self.tail.clear();
                }
                c if c.is_ascii_alphabetic() => {
                    self.at = At::TagName;
                    self.element.push(c.to_ascii_lowercase());
                }
                _ => {
                    self.at = At::Text;
                    return Some("a `<` that opens no tag; write `&lt;`".to_owned());
                }
            },
            At::TagName => match c {
                '>' => return self.tag_ends(),
                c if c.is_whitespace() || c == '/' => self.at = At::InTag,
                c => self.element.push(c.to_ascii_lowercase()),
            },
            At::InTag => match c {
                '>' => return self.tag_ends(),
                c if c.is_whitespace() || c == '/' => {}
                c => {
                    self.attribute = c.to_ascii_lowercase().to_string();
                    self.at = At::AttributeName;
                }
            },
            At::AttributeName => match c {
                '=' => self.at = At::BeforeValue,
                '>' => return self.attribute_ends().or(self.tag_ends()),
                c if c.is_whitespace() => self.at = At::AfterName,
                c => self.attribute.push(c.to_ascii_lowercase()),
            },
            At::AfterName => match c {
                '=' => self.at = At::BeforeValue,
                '>' => return self.attribute_ends().or(self.tag_ends()),
                c if c.is_whitespace() => {}
                c => {
                    self.attribute = c.to_ascii_lowercase().to_string();
                    self.at = At::AttributeName;
                }
            },
            At::BeforeValue => match c {
                '"' | '\'' => {
                    self.at = if c == '"' { At::DoubleQuoted } else { At::SingleQuoted };
                    self.value.clear();
                }
                c if c.is_whitespace() => {}
                _ => {
                    self.at = At::InTag;
                    return Some(format!("the value of `{}` must stand in quotes", self.attribute));
                }
            },
            At::DoubleQuoted | At::SingleQuoted => {
                let quote = if self.at == At::DoubleQuoted { '"' } else { '\'' };
                if c == quote {
                    self.at = At::InTag;
                    return self.attribute_ends();
                }
                self.value.push(c);
            }
            At::Declaration => {
                self.tail.push(c);
                if self.tail == "--" {
                    self.at = At::Comment;
                    self.tail.clear();
                } else if c == '>' {
                    self.at = At::Text;
                }
            }
            At::Comment => {
                self.tail.push(c);
                if self.tail.ends_with("-->") {
                    self.at = At::Text;
                }
            }
            At::Style => {
                self.tail.push(c.to_ascii_lowercase());
                if self.tail.ends_with("</style") {
                    let remote = self.tail.contains("@import") || self.tail.replace("url(data:", "").contains("url(");
                    self.at = At::TagName;
                    self.closing = true;
                    "style".clone_into(&mut self.element);
                    return remote.then(|| "a style sheet may load nothing from elsewhere".to_owned());
                }
            }
        }
        None
    }

    fn tag_ends(&mut self) -> Option<String> {
        let refused = ELEMENTS_REFUSED.contains(&self.element.as_str());
        self.at = if self.element == "style" && !self.closing { At::Style } else { At::Text };
        self.tail.clear();
        (refused && !self.closing).then(|| format!("`<{}>` is not allowed: a letter or report runs, loads and sends nothing", self.element))
    }

    fn attribute_ends(&mut self) -> Option<String> {
        let value = self.value.trim().to_ascii_lowercase();
        let name = self.attribute.as_str();
        if name.starts_with("on") {
            return Some(format!("`{name}` would run something"));
        }
        let loads = ["src", "srcset", "background", "poster", "data", "lowsrc", "dynsrc"].contains(&name);
        if loads && !value.starts_with("data:") && !value.starts_with("cid:") {
            return Some(format!("`{name}` would load something from elsewhere"));
        }
        if ADDRESSES.contains(&name) && !loads && !(value.starts_with('#') || value.starts_with("https://") || value.starts_with("mailto:"))
        {
            return Some(format!("`{name}` must lead to `https://…`, `mailto:…` or `#…`"));
        }
        if name == "style" && value.replace("url(data:", "").contains("url(") {
            return Some("a style may load nothing from elsewhere".to_owned());
        }
        None
    }

    /// Data comes out here: is that a place where escaping makes it harmless?
    fn value(&mut self) -> Option<String> {
        match self.at {
            At::Text => None,
            At::DoubleQuoted | At::SingleQuoted => {
                let name = self.attribute.clone();
                let fragment = name == "href" && self.value.starts_with('#');
                // Stands for the data in the checks of the whole value.
                self.value.push('x');
                let risky =
                    name.starts_with("on") || name == "style" || name == "srcdoc" || (ADDRESSES.contains(&name.as_str()) && !fragment);
                risky.then(|| format!("`{name}` may not be made of data (a link within the page, `#…`, may)"))
            }
            at => Some(format!("data may stand in text or in an attribute's quotes, not in {}", at.words())),
        }
    }
}
