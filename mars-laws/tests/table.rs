//! The CSV reader: what it accepts, and that every fault is named with its line and column.
#![allow(clippy::unwrap_used)]
use mars_laws::*;

#[test]
fn rows_that_are_equal_in_all_that_they_state_are_copies() {
    let times = "module,rank,dataset_size,steps\nllm,8,64,20\nve,8,64,20\nllm,8,64,20\nllm,8,64,21\n";
    let joint = "ve_rank,llm_rank,dataset_size,perplexity\n8,16,256,4.5\n16,8,256,4.5\n";
    let mut all = Observations::from_csv(times).unwrap();
    assert_eq!(all.copies(), 1);
    for copies in [1, 3] {
        all.extend(Observations::from_csv(joint).unwrap());
        assert_eq!(all.copies(), copies);
    }
}

#[test]
fn reads_both_laws() {
    let times = "# Law-C\nmodule,rank,dataset_size,steps,weight,convention\n\
                 ve, 8, 64, 20, 2, rslora\nllm,16,128,35.5,1,rslora\n";
    let read = Observations::from_csv(times).unwrap();
    assert_eq!(read.convergence.len(), 2);
    let first = &read.convergence[0];
    assert_eq!((first.module.as_str(), first.rank, first.samples), ("ve", 8, 64));
    assert_eq!((first.steps, first.weight, first.convention.as_str()), (20.0, 2.0, "rslora"));
    assert!(read.performance.is_empty());

    let joint = "\u{feff}ve_rank,llm_rank,dataset_size,perplexity\r\n8,16,256,4.5\r\n";
    let mut all = Observations::from_csv(joint).unwrap();
    let expected = PerformanceObservation::new(Ranks::new().with("ve", 8).with("llm", 16), 256, 4.5);
    assert_eq!(all.performance, [expected]);
    all.extend(read);
    assert_eq!(all.convergence.len(), 2);

    let one = Observations::from_csv("rank,dataset_size,perplexity\n8,256,4.5\n").unwrap();
    assert_eq!(one.performance[0].ranks, Ranks::new().with("llm", 8));
}

#[test]
fn faults_are_named_with_line_and_column() {
    for (text, line, column, says) in [
        ("", 1, 1, "neither a column"),
        ("rank,dataset_size\n8,64\n", 1, 3, "neither a column"),
        ("rank,dataset_size,steps,perplexity\n", 1, 4, "table of its own"),
        ("rank,steps\n8,20\n", 1, 3, "`dataset_size` is missing"),
        ("dataset_size,steps\n8,20\n", 1, 3, "`rank` is missing"),
        ("rank,dataset_size,steps,wieght\n8,64,20,1\n", 1, 4, "unknown column `wieght`"),
        ("ve_rank,dataset_size,steps\n8,64,20\n", 1, 1, "unknown column `ve_rank`"),
        ("rank,ve_rank,dataset_size,perplexity\n8,8,64,4\n", 1, 1, "name the module"),
        ("rank,rank,dataset_size,steps\n8,8,64,4\n", 1, 2, "twice"),
        ("rank,dataset_size,steps\n", 2, 1, "no observation"),
        ("rank,dataset_size,steps\n8,64,20\n8,sixty,20\n", 3, 2, "`sixty` is not a whole number >= 1"),
        ("rank,dataset_size,steps\n8.5,64,20\n", 2, 1, "`8.5`"),
        ("rank,dataset_size,steps\n0,64,20\n", 2, 1, "`0`"),
        ("# note\nrank,dataset_size,steps\n# note\n-8,64,20\n", 4, 1, "`-8`"),
        ("rank,dataset_size,steps\r\n8,64,9\r\n\r\n\r\n8,x,9\r\n", 5, 2, "`x`"),
        ("\n\nrank,dataset_size,stops\n", 3, 4, "neither a column"),
        ("rank,dataset_size,steps\n8,64,\n", 2, 3, "an empty cell is not a finite number > 0"),
        ("rank,dataset_size,steps\n8,64,NaN\n", 2, 3, "`NaN`"),
        ("rank,dataset_size,steps\n8,64,inf\n", 2, 3, "`inf`"),
        ("rank,dataset_size,steps\n8,64,-3\n", 2, 3, "`-3`"),
        ("rank,dataset_size,perplexity\n8,64,0.3\n", 2, 3, "`0.3` is not a finite perplexity >= 1"),
        ("rank,dataset_size,steps,weight\n8,64,20,0\n", 2, 4, "`0`"),
        ("module,rank,dataset_size,steps\n,8,64,20\n", 2, 1, "no name"),
        ("rank,dataset_size,steps\n8,64,20\n8,64\n", 3, 3, "2 cells where the header has 3"),
        ("rank,dataset_size,steps\n8,64,20,9\n", 2, 4, "4 cells where the header has 3"),
    ] {
        match Observations::from_csv(text) {
            Err(Error::Csv { line: l, column: c, message }) => {
                assert_eq!((l, c), (line, column), "{text:?}: {message}");
                assert!(message.contains(says), "{text:?}: {message}");
            }
            other => panic!("{text:?} gave {other:?}"),
        }
    }
}
