//! For tests alone: what a real HTML parser makes of our output.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts, states};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
}

#[derive(Default)]
struct Sink {
    tags: RefCell<Vec<Seen>>,
    text: RefCell<String>,
    hidden: RefCell<bool>,
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        match token {
            Token::TagToken(Tag { kind, name, attrs, .. }) => {
                let name = name.to_string();
                if kind == TagKind::EndTag {
                    if name == "style" || name == "title" {
                        *self.hidden.borrow_mut() = false;
                    }
                    self.text.borrow_mut().push(' ');
                    return TokenSinkResult::Continue;
                }
                let attributes = attrs.iter().map(|attr| (attr.name.local.to_string(), attr.value.to_string())).collect();
                self.tags.borrow_mut().push(Seen { name: name.clone(), attributes });
                self.text.borrow_mut().push(' ');
                match name.as_str() {
                    "style" => {
                        *self.hidden.borrow_mut() = true;
                        return TokenSinkResult::RawData(states::RawKind::Rawtext);
                    }
                    "title" => {
                        *self.hidden.borrow_mut() = true;
                        return TokenSinkResult::RawData(states::RawKind::Rcdata);
                    }
                    "script" => return TokenSinkResult::RawData(states::RawKind::ScriptData),
                    _ => {}
                }
            }
            Token::CharacterTokens(text) if !*self.hidden.borrow() => self.text.borrow_mut().push_str(&text),
            Token::CommentToken(text) => self.tags.borrow_mut().push(Seen { name: format!("<!--{text}-->"), attributes: Vec::new() }),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

fn read(html: &str) -> Sink {
    let queue = BufferQueue::default();
    queue.push_back(StrTendril::from_slice(html));
    let tokenizer = Tokenizer::new(Sink::default(), TokenizerOpts::default());
    let _ = tokenizer.feed(&queue);
    tokenizer.end();
    tokenizer.sink
}

/// Every start tag, in order; comments too.
pub(crate) fn tags(html: &str) -> Vec<Seen> {
    read(html).tags.into_inner()
}

/// The text a reader sees.
pub(crate) fn text_of(html: &str) -> String {
    read(html).text.into_inner()
}
