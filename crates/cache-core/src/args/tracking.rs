//! The list `@tracking`: arguments by which senders of links follow visitors. They don't change what a page says.

/// Names that belong to one such tool each. Common words that a site may use by itself (`ref`, `source`, `origin`, `id`,
/// `si`) aren't among them.
///
/// Sources: the lists of browsers that take such arguments off links (`privacy.query_stripping.strip_list` of Firefox and
/// of browsers built on it, the query filter of Brave), and those that the VCL of Magento 2 takes off
/// (`app/code/Magento/PageCache/etc/varnish7.vcl`), without the common words among them.
pub(super) const NAMES: &[&str] = &[
    // Urchin, Google Analytics and all that took it over
    "utm_*",
    "_ga",
    "_gl",
    // Google Ads, Display & Video 360, Merchant Center
    "gclid",
    "gclsrc",
    "dclid",
    "gbraid",
    "wbraid",
    "gad_source",
    "gad_campaignid",
    "srsltid",
    // Meta
    "fbclid",
    "igshid",
    // Microsoft Advertising
    "msclkid",
    // X
    "twclid",
    // TikTok
    "ttclid",
    // Pinterest
    "epik",
    // LinkedIn
    "li_fat_id",
    // Yandex
    "yclid",
    "_openstat",
    // Mailchimp
    "mc_cid",
    "mc_eid",
    // MailerLite
    "ml_subscriber",
    "ml_subscriber_hash",
    // HubSpot
    "_hsenc",
    "_hsmi",
    "__hsfp",
    "__hssc",
    "__hstc",
    "hsCtaTracking",
    "hsa_*",
    // Marketo
    "mkt_tok",
    // Klaviyo
    "_kx",
    "_ke",
    // Bronto
    "_bta_tid",
    "_bta_c",
    // Drip
    "__s",
    // Vero
    "vero_id",
    "vero_conv",
    // Omeda Olytics
    "oly_anon_id",
    "oly_enc_id",
    // Adobe Advertising
    "s_kwcid",
    "ef_id",
    // Adobe Analytics
    "s_cid",
    // Wicked Reports
    "wickedid",
    // Others
    "rb_clickid",
    // Branch
    "_branch_match_id",
    // Impact
    "irclickid",
    // Matomo, Piwik
    "mtm_*",
    "matomo_*",
    "pk_campaign",
    "pk_kwd",
    "pk_keyword",
    "piwik_campaign",
    "piwik_kwd",
    "piwik_keyword",
];
