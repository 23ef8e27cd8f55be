//! Manual pages from the documentation: Markdown in, roff out.
//!
//! What the documentation has as a table of keys becomes a list of tagged paragraphs, which is how manual pages tell of keys.
//! Links become their text: they lead to pages that a manual does not have.

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};
use roff::{Inline, Roff, bold, italic, roman};

/// What a page is called, and whose it is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Title<'a> {
    /// Such as `ace.toml`.
    pub(super) name: &'a str,
    /// Such as `5`.
    pub(super) section: &'a str,
    /// What it is in a few words, for `whatis`.
    pub(super) purpose: &'a str,
    /// The program and its version.
    pub(super) source: &'a str,
    /// The day of the release.
    pub(super) date: &'a str,
}

/// The page that these Markdown chapters make.
pub(super) fn page(title: Title<'_>, markdown: &str, see_also: &str) -> String {
    let mut writer = Writer::default();
    writer.control("TH", &[title.name, title.section, title.date, title.source, "mosquitto-ace"]);
    writer.control("SH", &["NAME"]);
    writer.roff.text([roman(format!("{} - {}", title.name, title.purpose))]);
    writer.control("SH", &["DESCRIPTION"]);
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        writer.take(event);
    }
    writer.control("SH", &["SEE ALSO"]);
    writer.roff.text([roman(see_also)]);
    writer.roff.to_roff()
}

/// The chapter of that heading of the second level, without the heading.
pub(super) fn chapter<'a>(markdown: &'a str, heading: &str) -> Option<&'a str> {
    let (_, rest) = markdown.split_once(&format!("\n## {heading}\n"))?;
    Some(rest.split_once("\n## ").map_or(rest, |(chapter, _)| chapter))
}

#[derive(Default)]
struct Writer {
    roff: Roff,
    line: Vec<Inline>,
    style: Vec<fn(String) -> Inline>,
    /// How deep we are in lists, and the number of the next item of each, if they have numbers.
    lists: Vec<Option<u64>>,
    code_block: bool,
    heading: Option<HeadingLevel>,
    table: Table,
    /// Whether the next paragraph continues an item, and needs no macro of its own.
    in_item_head: bool,
}

#[derive(Default)]
struct Table {
    head: Vec<String>,
    cells: Vec<Vec<Inline>>,
    in_head: bool,
}

impl Writer {
    fn control(&mut self, name: &str, arguments: &[&str]) {
        self.roff.control(name, arguments.iter().copied());
    }

    fn flush(&mut self) {
        if !self.line.is_empty() {
            self.roff.text(std::mem::take(&mut self.line));
        }
    }

    fn text(&mut self, text: &str) {
        let style = self.style.last().copied().unwrap_or(roman);
        self.line.push(style(text.to_owned()));
    }

    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(&tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) if self.code_block => {
                for line in text.lines() {
                    self.roff.text([roman(line)]);
                }
            }
            Event::Text(text) => self.text(&text),
            Event::Code(text) => self.line.push(bold(text.into_string())),
            Event::SoftBreak | Event::HardBreak => self.text(" "),
            _ => {}
        }
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::Heading { level, .. } => self.heading = Some(*level),
            Tag::Paragraph if std::mem::take(&mut self.in_item_head) => {}
            Tag::Paragraph => self.control("PP", &[]),
            Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented) => {
                self.flush();
                self.code_block = true;
                self.control("PP", &[]);
                self.control("RS", &["4"]);
                self.control("EX", &[]);
            }
            Tag::List(number) => {
                self.flush();
                if !self.lists.is_empty() {
                    self.control("RS", &["2"]);
                }
                self.lists.push(*number);
            }
            Tag::Item => {
                let sign = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        let sign = format!("{number}.");
                        *number += 1;
                        sign
                    }
                    _ => "\\(bu".to_owned(),
                };
                self.control("IP", &[sign.as_str(), "3"]);
                self.in_item_head = true;
            }
            Tag::Emphasis => self.style.push(italic),
            Tag::Strong => self.style.push(bold),
            Tag::Table(_) => self.table = Table::default(),
            Tag::TableHead => self.table.in_head = true,
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(level) => self.end_heading(level),
            TagEnd::Paragraph => self.flush(),
            TagEnd::CodeBlock => {
                self.code_block = false;
                self.control("EE", &[]);
                self.control("RE", &[]);
            }
            TagEnd::List(_) => {
                self.lists.pop();
                if !self.lists.is_empty() {
                    self.control("RE", &[]);
                }
            }
            TagEnd::Item => {
                self.flush();
                self.in_item_head = false;
            }
            TagEnd::Emphasis | TagEnd::Strong => {
                self.style.pop();
            }
            TagEnd::TableCell if self.table.in_head => {
                self.table.head.push(plain(&std::mem::take(&mut self.line)));
            }
            TagEnd::TableCell => self.table.cells.push(std::mem::take(&mut self.line)),
            TagEnd::TableHead => self.table.in_head = false,
            TagEnd::TableRow => self.end_row(),
            _ => {}
        }
    }

    /// The page's own heading is its name: it is left out.
    fn end_heading(&mut self, level: HeadingLevel) {
        self.heading = None;
        let words = plain(&std::mem::take(&mut self.line));
        match level {
            HeadingLevel::H1 => {}
            HeadingLevel::H2 => self.control("SH", &[words.to_uppercase().as_str()]),
            _ => self.control("SS", &[words.as_str()]),
        }
    }

    /// A row as a tagged paragraph: what is in the first column, then the others, those from the third on with their heads.
    fn end_row(&mut self) {
        let mut cells = std::mem::take(&mut self.table.cells).into_iter();
        self.control("TP", &[]);
        let mut tag = cells.next().unwrap_or_default();
        if tag.is_empty() {
            tag.push(roman("(none)"));
        }
        self.roff.text(tag);
        let mut body: Vec<Inline> = Vec::new();
        for (cell, head) in cells.zip(self.table.head.iter().skip(1)) {
            if cell.is_empty() {
                continue;
            }
            if !body.is_empty() {
                body.push(roman(if plain(&body).trim_end().ends_with('.') { " " } else { ". " }));
                body.push(italic(format!("{head}: ")));
            }
            body.extend(cell);
        }
        if body.is_empty() {
            body.push(roman(""));
        }
        self.roff.text(body);
    }
}

/// The words without their style.
fn plain(line: &[Inline]) -> String {
    line.iter()
        .map(|inline| match inline {
            Inline::Roman(text) | Inline::Italic(text) | Inline::Bold(text) => text.as_str(),
            Inline::LineBreak => " ",
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TITLE: Title<'_> =
        Title { name: "a.toml", section: "5", purpose: "what it is", source: "a 1.0", date: "2026-01-01" };

    fn made(markdown: &str) -> String {
        page(TITLE, markdown, "b(1)")
    }

    #[test]
    fn a_page_has_its_name_and_what_it_is_for() {
        let page = made("# Title\n\nSome *words*.\n");
        assert!(page.contains(".TH a.toml 5 2026"), "{page}");
        assert!(page.contains("\n.SH NAME\na.toml \\- what it is\n"), "{page}");
        assert!(page.contains("Some \\fIwords\\fR.\n") && !page.contains("Title"), "{page}");
        assert!(page.contains(".SH \"SEE ALSO\"\nb(1)\n"), "{page}");
    }

    #[test]
    fn keys_are_tagged_paragraphs() {
        let page =
            made("| Key | Meaning | Default |\n| --- | --- | --- |\n| `jwks` | A [file](#f). | none |\n| `x` | | |\n");
        assert!(page.contains(".TP\n\\fBjwks\\fR\nA file. \\fIDefault: \\fRnone\n"), "{page}");
        assert!(page.contains(".TP\n\\fBx\\fR\n"), "{page}");
    }

    #[test]
    fn nothing_in_the_text_is_taken_for_a_macro() {
        let page = made("```\n.SH evil\n'x\n```\n\n.starts with a dot\n");
        for line in page.lines() {
            assert!(!line.starts_with(".SH evil") && !line.starts_with('\'') && !line.starts_with(".starts"), "{page}");
        }
    }

    #[test]
    fn lists_and_chapters_are_kept() {
        let page = made("## One\n\n- first\n- second\n\n1. a\n2. b\n\n### Two\n");
        assert!(page.contains(".SH ONE\n.IP \\(bu 3\nfirst\n.IP \\(bu 3\nsecond\n"), "{page}");
        assert!(page.contains(".IP 1. 3\na\n.IP 2. 3\nb\n") && page.contains(".SS Two\n"), "{page}");
        assert_eq!(chapter("# x\n\n## a b\ntext\n### c\n\n## d\n", "a b"), Some("text\n### c\n"));
        assert_eq!(chapter("# x\n", "a"), None);
    }
}
