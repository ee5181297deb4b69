//! Reads JSON that people broke: goes on behind a missing comma, a missing bracket or a stray one, and says where.

/// Levels of brackets that are followed.
const DEEPEST: usize = 32;

/// A value with the place of its first byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    Object { pairs: Vec<Pair> },
    List,
    Text { text: String, at: usize },
    Other,
}

/// A name with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub name: String,
    pub at: usize,
    pub value: Node,
}

/// Broken syntax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    pub at: usize,
    pub what: &'static str,
    pub remedy: &'static str,
}

/// What a text holds.
pub struct Scanned {
    pub root: Option<Node>,
    pub errors: Vec<Broken>,
}

/// Scans a text: a whole object, or the pairs of one without its brackets.
pub fn scan(text: &str) -> Scanned {
    let mut scanner = Scanner { text, at: 0, errors: Vec::new() };
    let root = match scanner.peek() {
        Some(b'{') => {
            scanner.at += 1;
            Some(Node::Object { pairs: scanner.pairs(0, true) })
        }
        Some(b'"') => {
            scanner.broken(scanner.at, "a fragment without its outer brackets", "put { in front and } behind");
            Some(Node::Object { pairs: scanner.pairs(0, false) })
        }
        _ => None,
    };
    if root.is_some() && scanner.peek().is_some() {
        scanner.broken(scanner.at, "text behind the end", "remove it, or the stray bracket in front of it");
    }
    Scanned { root, errors: scanner.errors }
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    errors: Vec<Broken>,
}

impl Scanner<'_> {
    fn broken(&mut self, at: usize, what: &'static str, remedy: &'static str) {
        self.errors.push(Broken { at, what, remedy });
    }

    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn pairs(&mut self, depth: usize, closed: bool) -> Vec<Pair> {
        let mut pairs: Vec<Pair> = Vec::new();
        // Behind a value: where it ends. A missing comma belongs there.
        let mut value_end = None;
        loop {
            match self.peek() {
                None => {
                    if closed {
                        self.broken(self.text.len(), "a closing bracket } is missing", "add } at the end");
                    }
                    return pairs;
                }
                Some(b'}') if closed => {
                    if value_end.is_none() && !pairs.is_empty() {
                        self.broken(self.at, "a comma in front of }", "remove the comma");
                    }
                    self.at += 1;
                    return pairs;
                }
                Some(b',') => {
                    if value_end.is_none() {
                        self.broken(self.at, "a comma too many", "remove it");
                    }
                    value_end = None;
                    self.at += 1;
                }
                Some(b'"') => {
                    if let Some(end) = value_end {
                        self.broken(end, "a comma is missing", "put a comma here");
                    }
                    pairs.extend(self.pair(depth));
                    value_end = Some(self.at);
                }
                Some(_) => {
                    self.skip("only a name between quotes can stand here", "put it between quotes, or remove it")
                }
            }
        }
    }

    fn pair(&mut self, depth: usize) -> Option<Pair> {
        let at = self.at;
        let name = self.quoted();
        match self.peek() {
            Some(b':') => self.at += 1,
            Some(b'"') => self.broken(self.at, "a colon is missing", "put a colon between name and value"),
            _ => {
                self.broken(at, "a name without a value", "put a colon and a value behind it");
                return None;
            }
        }
        Some(Pair { name, at, value: self.value(depth)? })
    }

    fn value(&mut self, depth: usize) -> Option<Node> {
        match self.peek() {
            Some(b'"') => {
                let at = self.at + 1;
                Some(Node::Text { text: self.quoted(), at })
            }
            Some(b'{') if depth < DEEPEST => {
                self.at += 1;
                Some(Node::Object { pairs: self.pairs(depth + 1, true) })
            }
            Some(b'[') if depth < DEEPEST => {
                self.at += 1;
                self.list(depth + 1);
                Some(Node::List)
            }
            None | Some(b',' | b'}') => {
                self.broken(self.at, "a value is missing", "put a value here");
                None
            }
            Some(_) => {
                let at = self.at;
                let word = self.word();
                let known = matches!(word, "true" | "false" | "null") || word.parse::<f64>().is_ok();
                if !known {
                    self.broken(at, "a text without quotes", "put it between quotes");
                }
                Some(Node::Other)
            }
        }
    }

    fn list(&mut self, depth: usize) {
        loop {
            match self.peek() {
                None | Some(b'}') => {
                    self.broken(self.at, "a closing bracket ] is missing", "add ] here");
                    return;
                }
                Some(b']') => {
                    self.at += 1;
                    return;
                }
                Some(b',' | b':') => self.at += 1,
                Some(_) => drop(self.value(depth)),
            }
        }
    }

    fn skip(&mut self, what: &'static str, remedy: &'static str) {
        self.broken(self.at, what, remedy);
        if self.word().is_empty() {
            self.at += 1;
        }
    }

    /// Letters up to the next mark of JSON. At least one, where there is any byte left that is no such mark.
    fn word(&mut self) -> &str {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| c.is_whitespace() || "{}[]:,\"".contains(c)).unwrap_or(rest.len());
        // A bracket that is too deep is passed over like a letter.
        let end = if end == 0 { rest.chars().next().map_or(0, char::len_utf8) } else { end };
        self.at += end;
        &rest[..end]
    }

    /// A text between quotes. Without a closing quote it ends with its line.
    fn quoted(&mut self) -> String {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        let mut letters = self.text[self.at..].chars();
        while let Some(letter) = letters.next() {
            self.at += letter.len_utf8();
            match letter {
                '"' => return text,
                '\n' => {
                    self.at -= 1;
                    break;
                }
                '\\' => {
                    let escaped = letters.next();
                    self.at += escaped.map_or(0, char::len_utf8);
                    text.push(match escaped {
                        Some('n') => '\n',
                        Some('r') => '\r',
                        Some('t') => '\t',
                        Some(other) => other,
                        None => break,
                    });
                }
                letter => text.push(letter),
            }
        }
        self.broken(start, "a closing quote is missing", "add \" at the end of the text");
        text
    }
}
