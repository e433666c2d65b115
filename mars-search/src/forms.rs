//! The forms in which policies are given as text, for help and for messages.

/// Every form of a policy as text, with what it means; capitals stand for whole numbers. For the help of a command and
/// the message about a policy that is not understood.
pub const POLICY_FORMS: &[(&str, &str)] = &[
    (
        "guided",
        "calibration, balanced ranks and a race inside the final run, within a budget for the whole search",
    ),
    ("halving", "successive halving over the grid of ranks, keeping 1 in 2 at each rung"),
    ("halving:ETA", "the same, keeping 1 in ETA (2 to 4)"),
    ("asha", "asynchronous successive halving over the grid, 4 runs at a time"),
    ("asha:WORKERS", "the same, WORKERS (1 or more) runs at a time"),
    ("race", "ranks balanced by Law-C race the default ranks inside the final run"),
    ("paper", "the published rule: balanced ranks that are best by Law-P, trained once"),
    ("surface", "a quadratic fitted to the fewest short runs needed, final run at its minimum"),
    ("surface:RUNS", "the same, with RUNS short runs"),
    ("grid", "every tuple of candidate ranks, each trained in full"),
    ("random:TRIALS", "TRIALS (1 or more) tuples drawn from the grid, each trained in full"),
    ("fixed:8x16", "one fine-tune at these ranks, in the order of the modules (ve x llm)"),
    ("fixed:ve=8,llm=16", "one fine-tune at these ranks; modules that are not named are not adapted"),
    ("adalora", "one fine-tune with AdaLoRA, with the parameter budget of the default ranks"),
    ("geolora", "one fine-tune with GeoLoRA, with the parameter budget of the default ranks"),
    (
        "hydra-style",
        "one fine-tune with a rank scheduler modelled on HyDRA, with the parameter budget of the default ranks",
    ),
    ("eva", "one fine-tune at the default ranks, initialised and distributed over layers by EVA"),
    (
        "diff-lr",
        "one fine-tune at the default ranks, with the learning rate of all modules except the reference divided by 5",
    ),
    ("diff-lr:RATIO", "the same, divided by RATIO (1 or more)"),
];

/// The forms in one line.
pub(crate) fn listed() -> String {
    let forms: Vec<_> = POLICY_FORMS.iter().map(|(form, _)| format!("`{form}`")).collect();
    forms.join(", ")
}
