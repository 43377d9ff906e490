//! FastCGI with a real PHP-FPM.

use super::{CASE, Case};

const PHP: &str = "location / { CACHE include HTML/fastcgi_params; fastcgi_pass unix:PHP; }";

#[rustfmt::skip]
pub const CASES: &[Case] = &[
    Case { name: "fastcgi", needs: &["php-fpm"], locations: PHP, path: "/page.php", ..CASE },
    Case { name: "fastcgi: a large page", needs: &["php-fpm"], locations: PHP, path: "/large.php", ..CASE },
    Case { name: "fastcgi: a status and a header", needs: &["php-fpm"], locations: PHP, path: "/status.php", ..CASE },
    Case { name: "fastcgi: a session", needs: &["php-fpm"], locations: PHP, path: "/private.php", ..CASE },
    Case { name: "fastcgi: POST", needs: &["php-fpm"], locations: PHP, path: "/echo.php", method: "POST", body: Some("a=b"), ..CASE },
    Case { name: "fastcgi: HEAD", needs: &["php-fpm"], locations: PHP, path: "/page.php", method: "HEAD", ..CASE },
    Case { name: "fastcgi_split_path_info", needs: &["php-fpm"], path: "/page.php/more/of/it",
        locations: "location ~ ^/page\\.php { CACHE fastcgi_split_path_info ^(.+\\.php)(/.+)$; include HTML/fastcgi_params; fastcgi_param PATH_INFO $fastcgi_path_info; fastcgi_pass unix:PHP; }",
        ..CASE },
    Case { name: "fastcgi: no such script", needs: &["php-fpm"], locations: PHP, path: "/none.php", ..CASE },
];
