fn profile(seed: u64) -> Scenario {
    use simulator::scenario::{Counts, Share, embedded};
    let text = embedded().iter().find(|(known, _)| *known == "hazards").map(|(_, text)| *text).unwrap();
    let mut scenario = Scenario::parse("hazards", text).unwrap();
    scenario.users.count = scenario.users.count.min(8);
    scenario.host.notices = Counts::new(0, 6);
    scenario.agent.deaf_share = Share::new(0.3);
    scenario.agent.dispatched_share = Share::new(0.5);
    if seed.is_multiple_of(2) {
        scenario.limits.outbound_frames_max = Some(4);
        scenario.slow_reader.share = Share::new(0.5);
    }
    if seed.is_multiple_of(3) {
        scenario.limits.runs_per_user_max = Some(2);
        scenario.limits.rate_per_s = Some(3);
        scenario.limits.rate_burst = Some(6);
        scenario.limits.connections_per_user_max = Some(3);
    }
    scenario
}
