//! Timers and posted events of nginx's loop, whose callbacks are Rust closures.

use std::cell::{Cell, UnsafeCell};
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use ngx::ffi::{
    ngx_add_timer, ngx_current_msec, ngx_cycle, ngx_del_timer, ngx_delete_posted_event,
    ngx_event_t, ngx_msec_t, ngx_post_event, ngx_posted_events,
};

use super::guard::guard;

/// What nginx's debug log takes for a connection when it names the descriptor of an event.
static NO_CONNECTION: [usize; 8] = [0; 8];

/// The milliseconds of nginx's clock, read once per iteration of the loop.
pub fn now_msec() -> u64 {
    // SAFETY: a word that only this thread writes.
    let now = unsafe { ngx_current_msec };
    u64::try_from(now).unwrap_or(u64::MAX)
}

/// The clock of [`exact_msec`]: it goes on while the machine is suspended.
#[cfg(target_os = "linux")]
const CLOCK: libc::clockid_t = libc::CLOCK_BOOTTIME;
#[cfg(not(target_os = "linux"))]
const CLOCK: libc::clockid_t = libc::CLOCK_MONOTONIC;

/// Milliseconds of a clock that all workers share, read now: a worker may have been stopped since nginx read its own, and the
/// whole machine suspended. Not to be compared with [`now_msec`], which stands still meanwhile.
pub fn exact_msec() -> u64 {
    let micros = exact_usec();
    // A system without a clock: no lease is believed, and everything has expired.
    if micros == u64::MAX {
        micros
    } else {
        micros / 1000
    }
}

/// Microseconds of the same clock. `u64::MAX`: the system has no clock.
pub fn exact_usec() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the time is written to a place of our own.
    let mut read = |clock| unsafe { libc::clock_gettime(clock, &raw mut time) } == 0;
    if !read(CLOCK) && !read(libc::CLOCK_MONOTONIC) {
        return u64::MAX;
    }
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let micros = u64::try_from(time.tv_nsec / 1000).unwrap_or_default();
    seconds.saturating_mul(1_000_000).saturating_add(micros)
}

/// The time of nginx's clock, in unix seconds.
pub fn now_sec() -> u64 {
    u64::try_from(ngx::ffi::ngx_time()).unwrap_or(0)
}

/// An event and its callback. nginx knows the address of `event`, so this never moves: it lives in
/// an `Rc`.
#[repr(C)]
struct Event {
    /// First, so that a pointer to it is a pointer to the whole.
    event: UnsafeCell<ngx_event_t>,
    /// Absent while it runs, so that it can drop or arm the event it belongs to.
    callback: Cell<Option<Box<dyn FnMut()>>>,
    /// Whether the handle still exists.
    owned: Cell<bool>,
}

impl Event {
    fn new(callback: Box<dyn FnMut()>) -> Rc<Event> {
        // SAFETY: all fields of ngx_event_t are integers or pointers; nginx itself starts from
        // zeroed memory.
        let mut event: ngx_event_t = unsafe { mem::zeroed() };
        event.data = (&raw const NO_CONNECTION).cast_mut().cast();
        event.handler = Some(fired);
        Rc::new(Event {
            event: UnsafeCell::new(event),
            callback: Cell::new(Some(callback)),
            owned: Cell::new(true),
        })
    }

    /// The address nginx is given. It stands for the whole `Event`, so that `fired` may find the
    /// rest behind it.
    fn as_ptr(self: &Rc<Event>) -> *mut ngx_event_t {
        Rc::as_ptr(self).cast_mut().cast()
    }

    /// Gives the event the log of the cycle: nginx writes debug lines through it.
    fn set_log(self: &Rc<Event>) {
        // SAFETY: ngx_cycle points to a cycle from the first configuration on, and nobody else
        // holds a reference into the event.
        unsafe { (*self.as_ptr()).log = (*ngx_cycle).log };
    }

    fn run(&self) {
        /// Puts the callback back, after a panic, too: the event serves others.
        struct Borrowed<'a>(&'a Event, Option<Box<dyn FnMut()>>);
        impl Drop for Borrowed<'_> {
            fn drop(&mut self) {
                if self.0.owned.get() {
                    self.0.callback.set(self.1.take());
                }
            }
        }
        let mut callback = Borrowed(self, self.callback.take());
        if let Some(run) = &mut callback.1 {
            run();
        }
    }

    /// Forgets the callback: what it holds is dropped now, or at the end of its run.
    fn disown(&self) {
        self.owned.set(false);
        drop(self.callback.take());
    }
}

/// Called by nginx when a timer expires or a posted event's turn comes.
///
/// # Safety
///
/// `event` was obtained from [`Event::as_ptr`] and its handle exists: dropping the handle takes the
/// event out of nginx's tree and queue, so that nginx can't call this afterwards.
unsafe extern "C" fn fired(event: *mut ngx_event_t) {
    guard("event", (), || {
        let whole: *const Event = event.cast_const().cast();
        // SAFETY: as above; the count that is added here keeps the memory while the callback runs,
        // even if that drops the handle.
        let this = unsafe {
            (*event).set_timedout(0);
            Rc::increment_strong_count(whole);
            Rc::from_raw(whole)
        };
        this.run();
    });
}

/// Puts an event into nginx's tree of timers. If it is there already it is taken out first: nginx
/// would leave a deadline as it is that differs by less than 300 ms, which may be all there is.
///
/// # Safety
///
/// `event` is an initialised event with a log, which leaves the tree before it is freed.
pub(super) unsafe fn arm(event: *mut ngx_event_t, ms: u64) {
    let ms = ngx_msec_t::try_from(ms).unwrap_or(ngx_msec_t::MAX >> 2);
    // SAFETY: the caller's promise.
    unsafe {
        disarm(event);
        ngx_add_timer(event, ms);
    }
}

/// Takes an event out of nginx's tree of timers, if it is there.
///
/// # Safety
///
/// `event` is an initialised event.
pub(super) unsafe fn disarm(event: *mut ngx_event_t) {
    // SAFETY: the caller's promise; timer_set says that the event is in the tree.
    unsafe {
        if (*event).timer_set() != 0 {
            ngx_del_timer(event);
        }
    }
}

/// A timer. The callback may arm it again, and it may drop it.
pub struct Timer(Rc<Event>);

impl Timer {
    /// A timer that isn't armed. A worker that shuts down doesn't wait for a `cancelable` one.
    pub fn new(cancelable: bool, callback: impl FnMut() + 'static) -> Timer {
        let timer = Timer(Event::new(Box::new(callback)));
        timer.set_cancelable(cancelable);
        timer
    }

    /// A timer that its owner holds, and that calls `run` with it: it holds the owner weakly, and does nothing once that is
    /// gone. It isn't armed. A worker that shuts down doesn't wait for it, unless [`Timer::set_cancelable`] says so.
    pub fn of<T: 'static>(owner: Weak<T>, mut run: impl FnMut(&Rc<T>) + 'static) -> Timer {
        Timer::new(true, move || {
            if let Some(owner) = owner.upgrade() {
                run(&owner);
            }
        })
    }

    /// Calls the callback once, in `ms` milliseconds from now. An earlier deadline is forgotten.
    pub fn arm(&self, ms: u64) {
        self.0.set_log();
        // SAFETY: the event doesn't move and leaves the tree before it is freed.
        unsafe { arm(self.0.as_ptr(), ms) };
    }

    /// Forgets the deadline.
    pub fn disarm(&self) {
        // SAFETY: the event lives as long as `self`.
        unsafe { disarm(self.0.as_ptr()) };
    }

    /// Whether the callback is due.
    pub fn is_armed(&self) -> bool {
        // SAFETY: the event lives as long as `self`, and no reference into it is held.
        unsafe { (*self.0.as_ptr()).timer_set() != 0 }
    }

    /// Milliseconds until the callback is due, if it is.
    pub fn left(&self) -> u64 {
        // SAFETY: as in is_armed.
        let due = unsafe { (*self.0.as_ptr()).timer.key };
        u64::try_from(due)
            .unwrap_or_default()
            .saturating_sub(now_msec())
    }

    /// Whether a worker that shuts down leaves without waiting for this timer. It can be changed
    /// while the timer is armed: nginx looks at it anew in each iteration of its loop.
    pub fn set_cancelable(&self, cancelable: bool) {
        // SAFETY: as in is_armed.
        unsafe { (*self.0.as_ptr()).set_cancelable(u32::from(cancelable)) };
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.disarm();
        self.0.disown();
    }
}

/// Something to be done later in this iteration of the loop, once however often it is asked for.
pub struct Posted(Rc<Event>);

impl Posted {
    /// A callback that isn't posted yet.
    pub fn new(callback: impl FnMut() + 'static) -> Posted {
        Posted(Event::new(Box::new(callback)))
    }

    /// Calls the callback before nginx waits for events again. nginx runs its queue until it is
    /// empty: a callback that posts itself without end stops the worker.
    pub fn post(&self) {
        self.0.set_log();
        // SAFETY: the event doesn't move and leaves the queue before it is freed.
        unsafe { ngx_post_event(self.0.as_ptr(), &raw mut ngx_posted_events) };
    }
}

impl Drop for Posted {
    fn drop(&mut self) {
        let event = self.0.as_ptr();
        // SAFETY: the event lives as long as `self`; `posted` says that it is in the queue.
        unsafe {
            if (*event).posted() != 0 {
                ngx_delete_posted_event(event);
            }
        }
        self.0.disown();
    }
}

/// What comes of `work`, if that is within `ms` milliseconds.
pub async fn within<T>(ms: u64, mut work: Pin<&mut impl Future<Output = T>>) -> Option<T> {
    let mut late = pin!(sleep(ms));
    poll_fn(|cx| {
        if let Poll::Ready(result) = work.as_mut().poll(cx) {
            return Poll::Ready(Some(result));
        }
        late.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// Waits for `ms` milliseconds from the first poll on. A worker that shuts down waits too.
pub fn sleep(ms: u64) -> impl Future<Output = ()> {
    Sleep { ms, begun: None }
}

struct Sleep {
    ms: u64,
    begun: Option<(Timer, Rc<Alarm>)>,
}

#[derive(Default)]
struct Alarm {
    over: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let ms = self.ms;
        let (_, alarm) = self.begun.get_or_insert_with(|| {
            let alarm = Rc::new(Alarm::default());
            let rings = Rc::clone(&alarm);
            let timer = Timer::new(false, move || {
                rings.over.set(true);
                if let Some(waker) = rings.waker.take() {
                    waker.wake();
                }
            });
            timer.arm(ms);
            (timer, alarm)
        });
        if alarm.over.get() {
            return Poll::Ready(());
        }
        alarm.waker.set(Some(cx.waker().clone()));
        Poll::Pending
    }
}
