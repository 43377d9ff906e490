//! Each reason that there is: a scene provokes it, and all that tell of a request tell the same. These are the word of
//! `redis_cache_header`, `$redis_cache_status` and `$redis_cache_reason` in a header and in an access log, Cache-Status, the error
//! log's line of a fill, and the counters.

mod asked;
mod said;
mod served;
mod stage;
mod store;
mod told;
mod waiting;

use cache_core::outcome::Reason;

use served::confirmable;
use stage::{Stage, get, site};
use testbed::{Answer, pattern};
use told::Told;

/// Reasons that can't be provoked here, and where they are tested.
const ELSEWHERE: &[(Reason, &str)] = &[];

/// Plays the scene of a reason.
#[track_caller]
fn play(reason: Reason, scene: fn() -> Vec<Told>) {
    let told = scene();
    let is_told = told.iter().any(|told| told.tells(reason));
    assert!(is_told, "it isn't \"{reason}\" that is told: {told:?}");
}

/// Makes a test of each scene, and the list of the reasons that have one.
macro_rules! scenes {
    ($($area:ident { $($scene:ident: $reason:ident,)+ })+) => {
        const SCENES: &[Reason] = &[$($(Reason::$reason,)+)+];

        $($(
            #[test]
            fn $scene() {
                play(Reason::$reason, $area::$scene);
            }
        )+)+
    };
}

scenes! {
    served {
        fresh: Fresh,
        stale: Stale,
        updating: Updating,
        subscribed: Subscribed,
        storing: Storing,
        stored: Stored,
        revalidated: Revalidated,
    }
    asked {
        method_not_listed: MethodNotListed,
        content: Content,
        content_unknown: ContentUnknown,
        slice: Slice,
        bypass: Bypass,
        no_store_directive: NoStoreDirective,
        no_store_asked: NoStoreAsked,
        only_if_cached: OnlyIfCached,
        few_uses: FewUses,
        upgrade: Upgrade,
        conditional: Conditional,
        not_configured: NotConfigured,
    }
    store {
        store_unavailable: StoreUnavailable,
        store_required: StoreRequired,
        wrong_type: WrongType,
        store_failed: StoreFailed,
        record_changed: RecordChanged,
        claim_lost: ClaimLost,
        varies_otherwise: VariesOtherwise,
        search_otherwise: SearchOtherwise,
        invalidated: Invalidated,
    }
    waiting {
        lock_timeout: LockTimeout,
        zone_full: ZoneFull,
        too_many_waiters: TooManyWaiters,
        waiters_released: WaitersReleased,
        part: Part,
        no_connections: NoConnections,
        capture_memory: CaptureMemory,
        no_memory: NoMemory,
    }
    said {
        status_not_listed: StatusNotListed,
        no_freshness: NoFreshness,
        accel_expires: AccelExpires,
        not_understood: NotUnderstood,
        no_store: NoStore,
        private: Private,
        no_cache: NoCache,
        set_cookie: SetCookie,
        without_cookie: WithoutCookie,
        without_header: WithoutHeader,
        vary: Vary,
        authorization: Authorization,
        interim: Interim,
        partial_content: PartialContent,
        not_modified: NotModified,
        truncated: Truncated,
        too_large: TooLarge,
        capture_timeout: CaptureTimeout,
        event_stream: EventStream,
        expired: Expired,
        accel_redirect: AccelRedirect,
        access_rules: AccessRules,
        header_invalid: HeaderInvalid,
        backend_failed: BackendFailed,
    }
}

/// A short response may be lost to the store before its header goes.
#[test]
fn a_header_does_not_contradict_itself() {
    let (short, whole) = (pattern(3000, 1), Answer::ok(pattern(3000, 1)).chunked());
    let cases = [
        (
            "redis_cache_capture_memory 1k;",
            whole.clone(),
            Reason::CaptureMemory,
        ),
        ("redis_cache_max_size 1k;", whole.clone(), Reason::TooLarge),
        (
            "proxy_buffering off; redis_cache_max_size 1k;",
            whole,
            Reason::TooLarge,
        ),
        ("", Answer::ok(short).cut_at(1000), Reason::Truncated),
    ];
    for (settings, answer, reason) in cases {
        let stage = Stage::start(&site().location(settings));
        stage.site.backend.set("/x", answer);
        let answer = stage.site.client().exchange(&get("me"));
        let answer = answer.expect("a response");
        let told = match answer.word().as_str() {
            "SKIP" => Told::not_stored(reason, 200),
            _ if stage.line_of("me").contains(reason.as_str()) => Told::stored(reason),
            _ => Told::stored(reason).then(Reason::Storing),
        };
        stage.told(&answer, told);
    }
}

/// The fill tells of the response; that it was known not to be stored says less then.
#[test]
fn what_is_private_while_the_store_is_down() {
    let mut stage = Stage::start(&site());
    let private = Answer::ok("x").header("Cache-Control", "private");
    stage.site.backend.set("/x", private);
    stage.site.redis.stop();
    let answer = stage.site.ask(&get("me"));
    let told = Told::skip("MISS", Reason::Private, "fwd=miss; fwd-status=200");
    stage.told(&answer, told.filling("miss", Reason::Private));
}

/// The request goes to the backend itself, and nothing else is known of it than that its record is stale.
#[test]
fn what_is_told_of_a_304_that_confirms_nothing() {
    let mut stage = Stage::start(&site());
    let other = Answer::of(304, "").header("ETag", "\"2\"");
    let answers = vec![confirmable(b"x".to_vec()), other, Answer::ok("new")];
    stage.site.backend.set_each("/x", answers);
    stage.fill_and_age();
    let answer = stage.site.ask(&get("me"));
    assert_eq!(answer.text(), "new");
    let reason = Reason::NotModified;
    let told = Told::skip("MISS", reason, "fwd=stale; fwd-status=200");
    stage.told(&answer, told.filling("validate", reason));
}

#[test]
fn each_reason_has_a_scene() {
    let elsewhere = ELSEWHERE.iter().map(|(reason, _)| reason);
    let known: Vec<_> = SCENES.iter().chain(elsewhere).collect();
    let missing: Vec<_> = Reason::ALL
        .iter()
        .filter(|reason| !known.contains(reason))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(known.len(), Reason::ALL.len(), "one scene each");
}
