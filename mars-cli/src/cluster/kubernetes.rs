//! Jobs for Kubernetes: an Indexed Job for the calibration, a plain one for the search.

use super::{Invocation, args};
use mars::Error;
use serde_json::{Value, json};

/// Exit codes after which the same call cannot succeed: wrong settings, bad data.
const HOPELESS: [u8; 2] = [2, 3];
/// Exit codes that are no failure: another process trains the same, or the state is saved.
const HARMLESS: [u8; 2] = [75, 85];

/// Most characters of a DNS label.
const LABEL: usize = 63;

/// The job of the calibration with so many runs: each index does one, and fails alone.
pub(crate) fn calibration(args: &args::Kubernetes, call: &Invocation, runs: usize) -> Result<Value, Error> {
    let spec = json!({
        "completionMode": "Indexed",
        "completions": runs,
        "parallelism": args.parallelism.map_or(runs, |most| most.get().min(runs)),
        "backoffLimitPerIndex": args.retries,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": { "rules": rules("FailIndex") },
        "template": template(args, call, "calibrate"),
    });
    job(args, "calibrate", runs.checked_sub(1), spec)
}

/// The job of the search.
pub(crate) fn search(args: &args::Kubernetes, call: &Invocation) -> Result<Value, Error> {
    let spec = json!({
        "backoffLimit": args.retries,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": { "rules": rules("FailJob") },
        "template": template(args, call, "search"),
    });
    job(args, "search", None, spec)
}

/// `last` is the last index of a job that has some.
fn job(args: &args::Kubernetes, what: &str, last: Option<usize>, spec: Value) -> Result<Value, Error> {
    let name = format!("{}-{what}", args.name);
    // The host name of a pod ends with its index.
    let longest = LABEL - last.map_or(0, |last| format!("-{last}").len());
    for (flag, value, longest) in [("--name", name.as_str(), longest), ("--claim", args.claim.as_str(), 253)]
    {
        check_name(flag, value, longest)?;
    }
    if !args.mount.starts_with('/') || args.mount.contains(':') {
        return Err(Error::usage(format!("--mount {}: give an absolute path without a colon", args.mount)));
    }
    if args.image.trim().is_empty() || args.image.contains(char::is_whitespace) {
        return Err(Error::usage(format!("--image {:?}: give the name of a container image", args.image)));
    }
    Ok(json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": { "name": name, "labels": { "app.kubernetes.io/name": "mars" } },
        "spec": spec,
    }))
}

/// What a pod's end means; the first rule that fits counts. All other exit codes count as tries.
fn rules(hopeless: &str) -> Value {
    let codes = |action: &str, values: &[u8]| json!({ "action": action, "onExitCodes": { "containerName": "mars", "operator": "In", "values": values } });
    json!([
        { "action": "Ignore", "onPodConditions": [{ "type": "DisruptionTarget", "status": "True" }] },
        codes(hopeless, &HOPELESS),
        codes("Ignore", &HARMLESS),
    ])
}

fn template(args: &args::Kubernetes, call: &Invocation, command: &str) -> Value {
    let words = ["mars", command].into_iter().chain(call.arguments.iter().map(String::as_str));
    let mut container = json!({
        "name": "mars",
        "image": args.image,
        "command": words.map(literal).collect::<Vec<_>>(),
        "workingDir": args.mount,
        "volumeMounts": [{ "name": "data", "mountPath": args.mount }],
    });
    if !call.variables.is_empty() {
        let all = call.variables.iter().map(|(name, value)| json!({ "name": name, "value": literal(value) }));
        container["env"] = all.collect();
    }
    if args.gpus > 0 {
        // Quantities are strings.
        container["resources"] = json!({ "limits": { "nvidia.com/gpu": args.gpus.to_string() } });
    }
    json!({
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": args.grace,
            "containers": [container],
            "volumes": [{ "name": "data", "persistentVolumeClaim": { "claimName": args.claim } }],
        }
    })
}

/// A text in which Kubernetes replaces nothing: `$(NAME)` stands for a variable there, `$$` for a dollar.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// Refuses what is no DNS label (RFC 1123), or where names may be longer than one, no labels with dots between them.
fn check_name(flag: &str, name: &str, longest: usize) -> Result<(), Error> {
    let outer = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_label = |label: &str| {
        label.starts_with(outer) && label.ends_with(outer) && label.chars().all(|c| outer(c) || c == '-')
    };
    let is_name = if longest > LABEL { name.split('.').all(is_label) } else { is_label(name) };
    if name.len() <= longest && is_name {
        return Ok(());
    }
    let (whole, dots) = if longest > LABEL { ("each part", ", with dots between parts") } else { ("it", "") };
    Err(Error::usage(format!(
        "{flag}: {name:?} is not a valid Kubernetes name: use lower-case letters, digits and -{dots}, at most {longest} characters; \
         {whole} must start and end with a letter or digit"
    )))
}
