//! The operator's rules: which responses are stored, for how long, and when a stored one is sent.

use cache_core::freshness::Heuristic;
use cache_core::headers::is_token;
use cache_core::ignore::Ignore;
use cache_core::rules::{Ahead, BadList, MethodList, SetCookie, StatusList};
use cache_core::use_stale::UseStale;
use cache_core::vary::MAX_VARIANTS;

use crate::conf::LocConf;
use crate::conf::reader::{Directive, Fault, SetResult, once, seconds_of};

pub(super) fn valid(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let known = conf.statuses.clone().unwrap_or_else(StatusList::empty);
    let list = known
        .with_directive(&directive.arguments())
        .map_err(|error| {
            let item = match error {
                BadList::Status(item) | BadList::Method(item) => item,
                BadList::Empty => String::new(),
            };
            format!(
                "invalid status \"{item}\" in \"redis_cache_valid\"; \
             use a code from 200 to 599, or \"any\""
            )
        })?;
    conf.statuses = Some(list);
    Ok(())
}

pub(super) fn methods(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let arguments = directive.arguments();
    let list = MethodList::from_items(arguments.iter().copied()).map_err(|_| {
        let bad = arguments
            .iter()
            .find(|method| !is_token(method))
            .copied()
            .unwrap_or_default();
        let bad = String::from_utf8_lossy(bad);
        format!(
            "invalid method \"{bad}\" in \"redis_cache_methods\"; use names such as GET and HEAD"
        )
    })?;
    once(&mut conf.methods, list)
}

pub(super) fn age(directive: &Directive, conf: &mut LocConf) -> SetResult {
    once(&mut conf.age, directive.seconds(1)?)
}

pub(super) fn stale(directive: &Directive, conf: &mut LocConf) -> SetResult {
    once(&mut conf.stale, directive.seconds(1)?)?;
    let arguments = directive.arguments();
    let [_, parameter] = arguments.as_slice() else {
        return Ok(());
    };
    let (stale, longer) = (directive.text(1), directive.text(2));
    let invalid = || {
        Fault::Text(format!(
            "invalid parameter \"{longer}\" in \"redis_cache_stale\"; use a time behind \"error=\", such as error=3d"
        ))
    };
    let time = parameter.strip_prefix(b"error=");
    let seconds = time.and_then(seconds_of).ok_or_else(invalid)?;
    if conf.stale.is_some_and(|stale| seconds < stale) {
        return Err(Fault::Text(format!(
            "\"{longer}\" in \"redis_cache_stale\" is less than {stale}: it is how long a stale record is kept for when \
             the backend fails; give it a longer time, or leave it out"
        )));
    }
    conf.stale_on_error = Some(seconds);
    Ok(())
}

pub(super) fn ignore_headers(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let mut ignore = Ignore::NONE;
    for name in directive.arguments() {
        let Some(known) = Ignore::named(name) else {
            let name = String::from_utf8_lossy(name);
            return Err(Fault::Text(format!(
                "unknown header \"{name}\" in \"redis_cache_ignore_headers\"; \
                 known are Cache-Control, Expires, Set-Cookie, Vary, Authorization, X-Accel-Expires, \
                 CDN-Cache-Control, Surrogate-Control, Date and Age"
            )));
        };
        ignore = ignore | known;
    }
    once(&mut conf.ignore, ignore)
}

pub(super) fn set_cookie(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let choice = match directive.argument(1) {
        value if value.eq_ignore_ascii_case(b"off") => SetCookie::Off,
        value if value.eq_ignore_ascii_case(b"public") => SetCookie::Public,
        _ => {
            let value = directive.text(1);
            return Err(Fault::Text(format!(
                "invalid value \"{value}\" in \"redis_cache_set_cookie\"; it is \"off\" or \"public\""
            )));
        }
    };
    once(&mut conf.set_cookie, choice)
}

pub(super) fn heuristic(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let arguments = directive.arguments();
    let choice = match arguments.as_slice() {
        [value] if value.eq_ignore_ascii_case(b"off") => None,
        _ => Some(Heuristic::parse(&arguments).map_err(|bad| {
            let bad = String::from_utf8_lossy(bad);
            format!(
                "invalid value \"{bad}\" in \"redis_cache_heuristic\"; \
                 use \"off\" or a share such as 10%, and max=1d"
            )
        })?),
    };
    once(&mut conf.heuristic, choice)
}

pub(super) fn refresh_ahead(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let choice = match directive.argument(1) {
        value if value.eq_ignore_ascii_case(b"off") => None,
        value => {
            let time = || {
                let millis = u32::try_from(directive.millis(1).ok()?).ok()?;
                (millis > 0).then_some(Ahead::Time(millis))
            };
            let ahead = Ahead::share(value).or_else(time).ok_or_else(|| {
                let value = directive.text(1);
                format!(
                    "invalid value \"{value}\" in \"redis_cache_refresh_ahead\"; \
                     use \"off\", a share such as 20%, or a time such as 5s"
                )
            })?;
            Some(ahead)
        }
    };
    once(&mut conf.ahead, choice)
}

pub(super) fn max_size(directive: &Directive, conf: &mut LocConf) -> SetResult {
    once(&mut conf.max_size, directive.bytes(1, "8m")?)
}

pub(super) fn variants(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let value = directive.text(1);
    let most = value
        .parse()
        .ok()
        .filter(|most| (1..=MAX_VARIANTS).contains(most));
    let most = most.ok_or_else(|| {
        format!(
            "invalid number \"{value}\" in \"redis_cache_variants\"; use one from 1 to {MAX_VARIANTS}"
        )
    })?;
    once(&mut conf.variants, most)
}

pub(super) fn use_stale(directive: &Directive, conf: &mut LocConf) -> SetResult {
    let arguments = directive.arguments();
    let invalid = |name: &[u8]| {
        let name = String::from_utf8_lossy(name);
        Fault::Text(format!(
            "invalid value \"{name}\" in \"redis_cache_use_stale\"; known are error, timeout, invalid_header, \
             updating, http_500, http_502, http_503, http_504, http_5xx, http_403, http_404 and http_429, or \
             \"off\" alone"
        ))
    };
    let set = if arguments == [b"off"] {
        UseStale::NONE
    } else {
        arguments.iter().try_fold(UseStale::NONE, |set, name| {
            UseStale::named(name)
                .map(|case| set | case)
                .ok_or_else(|| invalid(name))
        })?
    };
    once(&mut conf.use_stale, set)
}

pub(super) fn revalidate(directive: &Directive, conf: &mut LocConf) -> SetResult {
    once(&mut conf.revalidate, directive.flag(1)?)
}

pub(super) fn honor_request(directive: &Directive, conf: &mut LocConf) -> SetResult {
    once(&mut conf.honor_request, directive.flag(1)?)
}

pub(super) fn invalidate(directive: &Directive, conf: &mut LocConf) -> SetResult {
    once(&mut conf.invalidate, directive.flag(1)?)
}

pub(super) fn post_location(directive: &Directive, conf: &mut LocConf) -> SetResult {
    once(&mut conf.post_location, directive.flag(1)?)
}
