//! The names of `redis_cache_purge_style`.

/// Whose requests are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// `PURGE`, and tags of the module xkey.
    Varnish,
    /// FOSHttpCache, for Varnish, nginx and Symfony.
    Fos,
    /// Magento 2.
    Magento,
    /// Drupal's varnish_purge and HTTP purger.
    Drupal,
    /// WordPress: nginx-helper, proxy-cache-purge, W3 Total Cache.
    Wordpress,
    /// API Platform.
    ApiPlatform,
}

impl Style {
    /// Each of them.
    pub const EACH: [Self; 6] = [
        Self::Varnish,
        Self::Fos,
        Self::Magento,
        Self::Drupal,
        Self::Wordpress,
        Self::ApiPlatform,
    ];

    /// Its name in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Varnish => "varnish",
            Self::Fos => "fos",
            Self::Magento => "magento",
            Self::Drupal => "drupal",
            Self::Wordpress => "wordpress",
            Self::ApiPlatform => "api-platform",
        }
    }

    /// The style of this name.
    #[must_use]
    pub fn parse(name: &[u8]) -> Option<Self> {
        Self::EACH
            .into_iter()
            .find(|style| style.as_str().as_bytes() == name)
    }

    const fn bit(self) -> u8 {
        match self {
            Self::Varnish => 1,
            Self::Fos => 1 << 1,
            Self::Magento => 1 << 2,
            Self::Drupal => 1 << 3,
            Self::Wordpress => 1 << 4,
            Self::ApiPlatform => 1 << 5,
        }
    }
}

/// The styles of a location.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Styles(u8);

impl Styles {
    /// With this one, too.
    #[must_use]
    pub const fn with(self, style: Style) -> Self {
        Self(self.0 | style.bit())
    }

    /// Whether this is one of them.
    #[must_use]
    pub const fn has(self, style: Style) -> bool {
        self.0 & style.bit() != 0
    }

    /// Whether one of these is.
    #[must_use]
    pub fn has_any(self, styles: &[Style]) -> bool {
        styles.iter().any(|style| self.has(*style))
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Style> for Styles {
    fn from_iter<I: IntoIterator<Item = Style>>(styles: I) -> Self {
        styles.into_iter().fold(Self::default(), Self::with)
    }
}
