//! The one way to name a device: `scheme:target?key=value&key=value` (product.md §1).

use super::contract::LinkError;

/// A link text, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkSpec {
    /// `sim`, `spi`, `uart`, …
    pub scheme: String,
    /// What stands between the colon and the question mark: `wb2s`, `0.0`, `/dev/ttyUSB0`.
    pub target: String,
    /// The keys and values behind the question mark, in the order typed. A value keeps every character it has.
    pub query: Vec<(String, String)>,
}

impl LinkSpec {
    /// Takes a link text apart.
    ///
    /// # Errors
    /// [`LinkError::BadLink`] when there is no scheme, a key has no value, or a key stands twice.
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        let bad = |why: &str| LinkError::BadLink { link: text.to_owned(), why: why.to_owned() };
        let (scheme, rest) =
            text.trim().split_once(':').ok_or_else(|| bad("there is no scheme, such as sim: or spi:"))?;
        let (target, tail) = rest.split_once('?').unwrap_or((rest, ""));
        let mut query: Vec<(String, String)> = Vec::new();
        for part in tail.split('&').filter(|part| !part.is_empty()) {
            let (key, value) = part.split_once('=').ok_or_else(|| bad(&format!("{part:?} is no key=value pair")))?;
            if query.iter().any(|(known, _)| known == key) {
                return Err(bad(&format!("the key {key:?} stands twice")));
            }
            query.push((key.to_owned(), value.to_owned()));
        }
        Ok(Self { scheme: scheme.to_ascii_lowercase(), target: target.to_owned(), query })
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    /// The link without its query: what the header shows.
    pub fn name(&self) -> String {
        format!("{}:{}", self.scheme, self.target)
    }

    /// The link without one of its keys.
    #[must_use]
    pub fn without(&self, key: &str) -> Self {
        let query = self.query.iter().filter(|(known, _)| known != key).cloned().collect();
        Self { query, ..self.clone() }
    }

    /// The link with a key set to this value.
    #[must_use]
    pub fn with(&self, key: &str, value: &str) -> Self {
        let mut link = self.without(key);
        link.query.push((key.to_owned(), value.to_owned()));
        link
    }

    /// Refuses keys outside `known`, so that a typing error is not silently ignored.
    ///
    /// # Errors
    /// [`LinkError::BadLink`] with the unknown key and the known ones.
    pub fn only_keys(&self, known: &[&str]) -> Result<(), LinkError> {
        match self.query.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some((key, _)) => Err(self.bad(format!("unknown key {key:?}; known are {}", known.join(", ")))),
        }
    }

    /// A [`LinkError::BadLink`] about this link.
    pub fn bad(&self, why: impl Into<String>) -> LinkError {
        LinkError::BadLink { link: self.to_string(), why: why.into() }
    }
}

impl std::fmt::Display for LinkSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.scheme, self.target)?;
        for (index, (key, value)) in self.query.iter().enumerate() {
            write!(f, "{}{key}={value}", if index == 0 { '?' } else { '&' })?;
        }
        Ok(())
    }
}
