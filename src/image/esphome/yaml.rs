//! A YAML document in the making: sections of ESPHome components, every line with its reason as a comment.

/// A line of a component, deeper by `depth` levels than its first one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    depth: usize,
    text: String,
    why: String,
}

/// A line with its reason; an empty one leaves the comment out.
pub(super) fn line(depth: usize, text: impl Into<String>, why: impl AsRef<str>) -> Line {
    Line { depth, text: text.into(), why: plain(why.as_ref()) }
}

/// What may stand in a comment: one line of printable ASCII.
fn plain(text: &str) -> String {
    text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect()
}

/// A text in double quotes, whatever is in it.
pub(super) fn quoted(text: &str) -> String {
    let escaped = text.chars().map(|c| match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        c if c.is_control() => "?".to_owned(),
        c => c.to_string(),
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// How a section holds its components.
enum Body {
    /// One component: `logger:`
    Map(Vec<Line>),
    /// A list of components: `switch:`
    List(Vec<Vec<Line>>),
}

/// The document.
#[derive(Default)]
pub(super) struct Document {
    head: Vec<String>,
    sections: Vec<(&'static str, String, Body)>,
}

impl Document {
    /// A line of comment at the top.
    pub(super) fn remark(&mut self, text: impl AsRef<str>) {
        self.head.push(plain(text.as_ref()));
    }

    /// A section with one component.
    pub(super) fn map(&mut self, name: &'static str, why: impl AsRef<str>, lines: Vec<Line>) {
        self.sections.push((name, plain(why.as_ref()), Body::Map(lines)));
    }

    /// One component more in a section that is a list.
    pub(super) fn item(&mut self, name: &'static str, lines: Vec<Line>) {
        let known = self.sections.iter_mut().find_map(|(known, _, body)| match body {
            Body::List(items) if *known == name => Some(items),
            _ => None,
        });
        match known {
            Some(items) => items.push(lines),
            None => self.sections.push((name, String::new(), Body::List(vec![lines]))),
        }
    }

    /// Whether there is a section of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.sections.iter().any(|(known, ..)| *known == name)
    }

    /// The text.
    pub(super) fn render(&self) -> String {
        let mut text: Vec<String> =
            self.head.iter().map(|remark| format!("# {remark}").trim_end().to_owned()).collect();
        for (name, why, body) in &self.sections {
            text.push(String::new());
            text.push(commented(format!("{name}:"), why));
            match body {
                Body::Map(lines) => text.extend(lines.iter().map(|line| shown(line, "  "))),
                Body::List(items) => {
                    for item in items {
                        let marks = std::iter::once("  - ").chain(std::iter::repeat("    "));
                        text.extend(item.iter().zip(marks).map(|(line, mark)| shown(line, mark)));
                    }
                }
            }
        }
        text.join("\n") + "\n"
    }
}

fn shown(line: &Line, mark: &str) -> String {
    commented(format!("{mark}{}{}", "  ".repeat(line.depth), line.text), &line.why)
}

fn commented(text: String, why: &str) -> String {
    if why.is_empty() { text } else { format!("{text}  # {why}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_maps_are_indented_and_reasons_follow_their_lines() {
        let mut document = Document::default();
        document.remark("made\nhere");
        document.map("logger", "", vec![line(0, "level: INFO", "")]);
        let pin = || vec![line(0, "platform: gpio", "rl1_pin"), line(0, "pin:", ""), line(1, "number: P26", "a\tb")];
        document.item("switch", pin());
        document.item("switch", pin());
        let one = "  - platform: gpio  # rl1_pin\n    pin:\n      number: P26  # a?b\n";
        assert_eq!(document.render(), format!("# made?here\n\nlogger:\n  level: INFO\n\nswitch:\n{one}{one}"));
    }

    #[test]
    fn a_text_in_quotes_cannot_leave_them() {
        assert_eq!(quoted("a\"b\\c\nd"), "\"a\\\"b\\\\c?d\"");
    }
}
