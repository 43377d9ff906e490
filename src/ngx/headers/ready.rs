//! The header of a response that many requests get, made ready for nginx once: a request has its lines written to its
//! list, and nothing is parsed, compared or copied.

use bytes::Bytes;
use cache_core::headers::Headers;
use cache_core::http_date;

use super::super::memory;
use super::super::request::Request;
use super::super::text;
use super::apply::{is_nginxs, set_out};
use super::dates::parse_time;
use super::known::{Known, MediaType, register_at, set_content_type};
use super::response::{NoMemory, add};

/// A text of [`Ready`]: where it begins, and its length.
type Place = (u32, u32);

/// A header, made ready.
pub struct Ready {
    status: u16,
    /// Whether a body comes with it whose length is known.
    has_length: bool,
    /// All texts, a NUL behind each: parsers of header values in nginx look a few bytes ahead.
    text: Box<[u8]>,
    lines: Box<[Line]>,
    /// Lines that nginx writes itself.
    nginxs: Box<[Line]>,
    content_type: Option<(Place, MediaType)>,
    /// Its Date, which comes behind all others.
    date: Option<Place>,
    /// What nginx makes of its last Last-Modified.
    modified: libc::time_t,
}

/// A line: its name, and behind that its value.
struct Line {
    name: Place,
    value: u32,
    known: Option<Known>,
}

/// Collects texts.
#[derive(Default)]
struct Texts(Vec<u8>);

impl Texts {
    /// `None` if there is too much of it.
    fn add(&mut self, text: &[u8]) -> Option<Place> {
        let place = u32::try_from(self.0.len())
            .ok()
            .zip(u32::try_from(text.len()).ok());
        self.0.extend_from_slice(text);
        self.0.push(0);
        place
    }
}

impl Ready {
    /// Makes ready what [`super::apply`] makes of these headers, and [`super::date`] of the date, in unix seconds. `None`
    /// if that is too much.
    pub fn of(
        status: u16,
        headers: &Headers,
        has_length: bool,
        own_location: bool,
        date: Option<u64>,
    ) -> Option<Ready> {
        let mut texts = Texts::default();
        let mut lines = Vec::with_capacity(headers.len());
        let mut nginxs = Vec::new();
        let (mut content_type, mut modified) = (None, -1);
        for header in headers {
            let value = header.value.as_ref();
            let known = Known::of(&header.name);
            let name = texts.add(&header.name)?;
            let place = texts.add(value)?;
            let line = Line {
                name,
                value: place.1,
                known: known.filter(|known| known.counts(value, own_location)),
            };
            match known {
                Some(Known::ContentType) => {
                    content_type = Some((place, MediaType::of(value)));
                    nginxs.push(line);
                }
                _ if is_nginxs(known, status, has_length) => nginxs.push(line),
                Some(Known::LastModified) => {
                    modified = parse_time(value);
                    lines.push(line);
                }
                _ => lines.push(line),
            }
        }
        let date = match date {
            Some(date) => Some(texts.add(&http_date::print(date))?),
            None => None,
        };
        Some(Ready {
            status,
            has_length,
            text: texts.0.into(),
            lines: lines.into(),
            nginxs: nginxs.into(),
            content_type,
            date,
            modified,
        })
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Bytes of memory that it takes, beside its own size.
    pub fn bytes(&self) -> usize {
        self.text.len() + size_of_val(&*self.lines) + size_of_val(&*self.nginxs)
    }

    /// Has the processor fetch what a response reads of it: a hint.
    pub fn prefetch(&self) {
        memory::prefetch(self.lines.as_ptr(), size_of_val(&*self.lines));
        memory::prefetch(self.text.as_ptr(), self.text.len());
    }

    fn text(&self, (begin, length): Place) -> &[u8] {
        let begin = begin as usize;
        let text = self.text.get(begin..begin + length as usize);
        text.unwrap_or_default()
    }

    fn value(&self, line: &Line) -> &[u8] {
        let (begin, length) = line.name;
        self.text((begin + length + 1, line.value))
    }

    fn first(&self, known: Known) -> Option<&[u8]> {
        let line = self.lines.iter().find(|line| line.known == Some(known))?;
        Some(self.value(line))
    }

    /// Its ETag.
    pub fn etag(&self) -> Option<&[u8]> {
        self.first(Known::Etag)
    }

    /// Its Last-Modified.
    pub fn last_modified(&self) -> Option<&[u8]> {
        self.first(Known::LastModified)
    }

    /// All its lines, but for Date. Those of one name are in order.
    pub fn headers(&self) -> Headers {
        let mut headers = Headers::with_capacity(self.nginxs.len() + self.lines.len());
        for line in self.nginxs.iter().chain(&self.lines) {
            let (name, value) = (self.text(line.name), self.value(line));
            headers.push(Bytes::copy_from_slice(name), Bytes::copy_from_slice(value));
        }
        headers
    }

    /// Makes it the header of a response, but for its Date. `length`: of the body.
    pub fn apply(&'static self, r: Request, length: u64) -> Result<(), NoMemory> {
        set_out(r, self.status, Some(length).filter(|_| self.has_length));
        if let Some((place, media)) = &self.content_type {
            set_content_type(r, text::borrowed(self.text(*place)), media);
        }
        for line in self.lines.iter() {
            let name = text::borrowed(self.text(line.name));
            let element = add(r, name, text::borrowed(self.value(line)))?;
            if let Some(known) = line.known {
                register_at(r, known, self.modified, element)?;
            }
        }
        Ok(())
    }

    /// Gives a response its Date, in place of nginx's own.
    pub fn apply_date(&'static self, r: Request) -> Result<(), NoMemory> {
        if let Some(place) = self.date {
            let line = add(r, text::borrowed(b"Date"), text::borrowed(self.text(place)))?;
            // SAFETY: live request.
            unsafe { r.change(|r| r.headers_out.date = line) };
        }
        Ok(())
    }
}
