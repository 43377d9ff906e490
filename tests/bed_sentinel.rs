//! The bed's Sentinels do what they say, without the module.

use std::time::Instant;

use testbed::{PATIENCE, Sentinels, Side, holds_for, ms, wait_for};

#[test]
fn sentinels_agree_soon_and_follow_an_ordered_failover() {
    let start = Instant::now();
    let all = Sentinels::start();
    println!("started in {:?}", start.elapsed());
    assert_eq!((all.master(), all.replicas()), (Some(0), vec![1, 2]));
    let _: () = all.command(&["SET", "x", "1"]);
    wait_for("the replicas' copies", PATIENCE, || {
        [1, 2]
            .iter()
            .all(|number| all.server(*number).keys() == ["x"])
    });
    let (master, took) = all.failover();
    println!("ordered failover in {took:?}");
    assert!([1, 2].contains(&master));
    all.wait_until_well();
    assert!(all.replicas().contains(&0));
    assert_eq!(all.server(master).keys(), ["x"]);
}

#[test]
fn a_master_that_dies_or_hangs_is_replaced() {
    let all = Sentinels::start();
    let (heir, took) = all.kill_master();
    println!("followed a killed master in {took:?}");
    all.restart(0);
    assert!(all.replicas().contains(&0));
    let (another, took) = all.freeze_master();
    println!("followed a frozen master in {took:?}");
    assert_ne!(another, heir);
    all.server(heir).thaw();
    // A master for a moment, until a Sentinel tells it.
    all.wait_until_well();
    assert!(all.replicas().contains(&heir));
}

#[test]
fn one_sentinel_is_stuck_on_the_old_address() {
    let all = Sentinels::start();
    let stuck = all.sentinels().start;
    all.net().silence(stuck, Side::Servers);
    let old = all.server(0).address();
    all.server(0).kill();
    let (master, _) = all.wait_for_another(0);
    assert!(holds_for(ms(200), || all.address_by(stuck) == Some(old)));
    assert_eq!(all.master(), Some(master));
    all.net().heal();
    all.restart(0);
    assert_eq!(all.address_by(stuck), Some(all.server(master).address()));

    all.reset(stuck);
    all.wait_until_well();
}

#[test]
fn a_master_that_is_parted_from_the_others_still_serves_its_clients() {
    let all = Sentinels::start();
    all.net().silence(0, Side::Servers);
    let (heir, took) = all.wait_for_another(0);
    println!("followed a parted master in {took:?}");
    assert!(
        all.server(0).is_master(),
        "two masters, as in a real partition"
    );
    let _: () = all.server(0).command(&["SET", "lost", "1"]);
    all.net().heal();
    all.wait_until_well();
    assert_eq!(all.master(), Some(heir));
    assert!(all.server(0).keys().is_empty());
}

#[test]
fn passwords_users_and_tls_of_both_kinds() {
    let all = Sentinels::options()
        .master("cache")
        .replicas(1)
        .acl("user default off\nuser cache on >secret ~* +hmget")
        .sentinel_acl("user default off\nuser watch on >other +sentinel|get-master-addr-by-name")
        .tls()
        .start();
    let (master, _) = all.failover();
    assert_eq!(master, 1);
    let text = all.directives();
    assert!(
        text.contains("mode sentinel cache;") && text.contains("tls on;"),
        "{text}"
    );
    let all = Sentinels::options()
        .replicas(1)
        .password("secret")
        .sentinel_password("other")
        .start();
    all.kill_master();
    all.restart(0);
    assert_eq!(all.replicas(), [0]);
}
