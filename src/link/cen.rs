//! What a link says about CEN, the line that holds the module in reset: `cen=` of `spi:`, `ch341:` and `serprog:`.

use super::contract::LinkError;
use super::spec::LinkSpec;

/// Who works CEN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cen {
    /// A line of this computer or adapter, by the name that was typed; `None` for the usual one.
    Line(Option<String>),
    /// A person with a wire.
    Hand,
    /// Nobody: a flash chip by itself, without a module around it.
    Bare,
}

impl Cen {
    /// Reads the key `cen` of a link; `usual` is what no key means.
    ///
    /// # Errors
    /// [`LinkError::BadLink`] for an empty value.
    pub(super) fn of(spec: &LinkSpec, usual: Self) -> Result<Self, LinkError> {
        match spec.get("cen") {
            None => Ok(usual),
            Some("hand") => Ok(Self::Hand),
            Some("none") => Ok(Self::Bare),
            Some("") => Err(spec.bad("cen= needs a line such as 22 or GPIO22, or none, or hand")),
            Some(line) => Ok(Self::Line(Some(line.to_owned()))),
        }
    }

    /// In words, where no line is worked.
    pub(super) const fn words(&self) -> &'static str {
        match self {
            Self::Line(_) => "CEN at a line",
            Self::Hand => "CEN by hand",
            Self::Bare => "a bare flash chip, no CEN",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cen(text: &str) -> Result<Cen, LinkError> {
        Cen::of(&LinkSpec::parse(text).unwrap(), Cen::Line(None))
    }

    #[test]
    fn a_link_names_a_line_a_hand_or_nobody() {
        assert_eq!(cen("spi:0.0").unwrap(), Cen::Line(None));
        assert_eq!(cen("spi:0.0?cen=GPIO22").unwrap(), Cen::Line(Some("GPIO22".to_owned())));
        assert_eq!(cen("spi:0.0?cen=hand").unwrap(), Cen::Hand);
        assert_eq!(cen("spi:0.0?cen=none").unwrap(), Cen::Bare);
        assert!(matches!(cen("spi:0.0?cen="), Err(LinkError::BadLink { .. })));
    }
}
