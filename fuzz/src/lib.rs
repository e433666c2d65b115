//! Fuzz targets: each takes a random input and must return, whatever the input is.
//!
//! `cargo xtask reliability fuzz` calls them in a seeded loop of mutations; with cargo-fuzz they are libFuzzer targets. In
//! this directory, run `cargo +nightly fuzz run adapter --features libfuzzer` with a nightly compiler, or
//! `RUSTC_BOOTSTRAP=1 cargo fuzz run -D -s none --features libfuzzer adapter` with the stable one.
//! `cargo xtask reliability fuzz --corpus` writes a seed corpus of well-formed inputs.

use mars_calib::{
    Campaign, CheckpointStore, DirectoryCheckpoints, RunId, RunSpec,
    command::{CurveFormat, Curves, Template},
};
use mars_laws::Ranks;
use mars_lora::peft::{AdapterFiles, Base};
use mars_vlm::{
    chat::{ChatTemplate, SpecialTokens},
    data::{Dataset, Part, ReadOptions, Role, Turn},
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

thread_local! {
    static PLACE: TempDir = TempDir::new().expect("a temporary directory");
}

/// The path `name` in a directory of this thread, with its parents.
fn place(name: &str) -> PathBuf {
    let path = PLACE.with(|place| place.path().join(name));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).expect("a directory");
    }
    path
}

fn write(name: &str, content: &[u8]) -> PathBuf {
    let path = place(name);
    fs::write(&path, content).expect("a file");
    path
}

/// The first byte chooses, the rest is the content.
fn chosen(input: &[u8]) -> (u8, &[u8]) {
    input.split_first().map_or((0, input), |(first, rest)| (*first, rest))
}

const ADAPTER_CONFIG: &[u8] = include_bytes!("../seeds/adapter_config.json");
const ADAPTER_WEIGHTS: &[u8] = include_bytes!("../seeds/adapter_model.safetensors");

/// A PEFT adapter with a random configuration (first byte even) or random weights.
pub fn adapter(input: &[u8]) {
    let (choice, content) = chosen(input);
    let (config, weights) =
        if choice % 2 == 0 { (content, ADAPTER_WEIGHTS) } else { (ADAPTER_CONFIG, content) };
    let config = write("adapter/adapter_config.json", config);
    write("adapter/adapter_model.safetensors", weights);
    if let Ok(files) = AdapterFiles::open(config.parent().unwrap_or(Path::new("."))) {
        let _ = files.bind(&Base::new(&[], &[]));
        let _ = files.module_names().count();
    }
}

const ID: &str = "0123456789abcdef";

/// A campaign with a random file of one kind.
pub fn campaign(input: &[u8]) {
    let (choice, content) = chosen(input);
    let settings = include_bytes!("../seeds/campaign.toml");
    let result = format!("campaign/runs/{ID}/result.json");
    let manifest = format!("campaign/checkpoints/{ID}/step-4/manifest.json");
    let claim = format!("campaign/claims/{ID}.1");
    let names = ["campaign/campaign.toml", &result, &manifest, &claim, "campaign/mars.lock"];
    write(names[0], settings);
    let path = write(names[usize::from(choice) % names.len()], content);
    let directory = place("campaign");
    let _ = Campaign::read(&directory);
    let _ = Campaign::begun(&directory);
    let _ = Campaign::last_holder(&directory);
    if let Some(id) = RunId::parse(ID) {
        let _ = DirectoryCheckpoints::new(directory.join("checkpoints")).latest_at_or_below(&id, 9);
    }
    let _ = fs::remove_file(path);
}

/// A file of training data.
pub fn data(input: &[u8]) {
    let (choice, content) = chosen(input);
    let path = write(if choice % 2 == 0 { "data/train.json" } else { "data/train.jsonl" }, content);
    let _ = Dataset::read_all(&path, &ReadOptions::default());
}

/// A table of observations, and the curves of external trainers.
pub fn csv(input: &[u8]) {
    let (choice, content) = chosen(input);
    if choice % 5 == 0 {
        if let Ok(text) = std::str::from_utf8(content) {
            let _ = mars_laws::Observations::from_csv(text);
        }
        return;
    }
    let (name, format) = match choice % 5 {
        1 => ("curve.csv", CurveFormat::Csv),
        2 => ("trainer_state.json", CurveFormat::TrainerState),
        3 => ("curve.jsonl", CurveFormat::JsonLines),
        _ => ("events.out.tfevents.1", CurveFormat::TensorBoard),
    };
    let path = write(&format!("curves/{name}"), content);
    let _ = Curves::find(&path, format);
}

/// A template of a command (first byte even) or of a chat.
pub fn template(input: &[u8]) {
    let (choice, content) = chosen(input);
    let Ok(text) = std::str::from_utf8(content) else { return };
    if choice % 2 == 0 {
        if let Ok(template) = Template::parse(text) {
            let ranks = Ranks::new().with("llm", 8);
            let _ = template.arguments(&RunSpec::new(ranks, 64, 4, 10, 1e-3), Path::new("out"));
        }
        return;
    }
    if let Ok(template) = ChatTemplate::new(text, Path::new("chat_template.jinja"), SpecialTokens::default())
    {
        let turns = [
            Turn::new(Role::User, vec![Part::Image, Part::Text("How many?".to_owned())]),
            Turn::new(Role::Assistant, vec![Part::Text("Two.".to_owned())]),
        ];
        let _ = template.render(&turns, true);
    }
}

/// A target with the inputs that mutations begin with.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// What is done with an input.
    pub run: fn(&[u8]),
    /// Well-formed inputs.
    pub seeds: Vec<Vec<u8>>,
}

/// All targets.
pub fn targets() -> Vec<Target> {
    let seed = |choice: u8, content: &[u8]| [&[choice][..], content].concat();
    let state = br#"{"log_history": [{"step": 0, "eval_loss": 3.0}, {"step": 5, "loss": 2.5}, {"step": 5, "eval_loss": NaN}], "total_flos": 1e12, "num_input_tokens_seen": 640}"#;
    let sample = br#"[{"id": "a", "image": "a.png", "conversations": [{"from": "human", "value": "<image>\nHow many?"}, {"from": "gpt", "value": "Two."}]}, {"messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "x"}]}, {"role": "assistant", "content": "y"}], "images": ["b.png"]}]"#;
    vec![
        Target { name: "adapter", run: adapter, seeds: vec![seed(0, ADAPTER_CONFIG), seed(1, ADAPTER_WEIGHTS)] },
        Target {
            name: "campaign",
            run: campaign,
            seeds: vec![
                seed(0, include_bytes!("../seeds/campaign.toml")),
                seed(1, include_bytes!("../seeds/result.json")),
                seed(2, br#"{"version":1,"files":{"state.json":"00"}}"#),
                seed(3, br#"{"state":"running","host":"a","pid":1,"machine":"","beat":3}"#),
                seed(4, b"process 12 on node"),
            ],
        },
        Target { name: "data", run: data, seeds: vec![seed(0, sample), seed(1, &sample[1..sample.len() - 1])] },
        Target {
            name: "csv",
            run: csv,
            seeds: vec![
                seed(0, b"module,rank,dataset_size,steps\nve,8,64,100\nllm,8,64,30\nllm,16,64,25\n"),
                seed(0, b"ve_rank,llm_rank,dataset_size,perplexity\n8,8,64,3.5\n16,8,128,3.25\n"),
                seed(1, b"step,loss,split\n0,3,val\n5,2.5,train\n5,nan,val\n"),
                seed(2, state),
                seed(3, b"{\"step\": 0, \"eval_loss\": 3}\n{\"global_step/max_steps\": \"5/100\", \"loss\": 2}\n"),
                seed(4, include_bytes!("../seeds/events")),
            ],
        },
        Target {
            name: "template",
            run: template,
            seeds: vec![
                seed(0, b"python train.py --ve {r.ve} --llm={r.llm} --lr \"{lr.llm}\" '{out}' {{x}} {continues}"),
                seed(1, include_bytes!("../seeds/chat_template.jinja")),
                seed(1, b"{% for m in messages %}{{ '<|' ~ m['role'] ~ '|>' }}{% if loop.last %}{{ m.content | upper }}{% endif %}{% endfor %}"),
            ],
        },
    ]
}
