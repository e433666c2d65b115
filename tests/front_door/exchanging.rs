//! Samples that are too long with the images of others end neither a search nor an evaluation.

use crate::kit::{open, tiled};
use mars::{
    Search,
    evaluate::{DataFiles, evaluate_files},
    event::Silent,
};

#[test]
fn a_sample_that_is_too_long_with_the_image_of_another_is_not_scored_with_it() {
    let (place, mut config) = tiled();
    let data = DataFiles { data: config.data.test.clone().unwrap(), images: None };
    let model = config.model.dir.clone().unwrap();
    let mut compared = Vec::new();
    let all = open(&config);
    let test = all.examples().2;
    let longest = (0..4).map(|at| test.tokens(at)).max().unwrap();
    for limit in [None, Some(longest)] {
        config.data.max_tokens = limit;
        let out = place.path().join(format!("{limit:?}"));
        let outcome = Search::new(config.clone()).run(&open(&config), &out).unwrap();
        let searched = outcome.exchanged_images.unwrap();
        let evaluated = evaluate_files(&config, &model, None, &data, true, &mut Silent).unwrap();
        let evaluated = evaluated.exchanged_images.unwrap();
        assert_eq!((searched.samples, searched.unfit), (evaluated.samples, evaluated.unfit));
        assert_eq!(searched.to_string().contains("1 more"), searched.unfit == 1, "{searched}");
        compared.push((searched.samples, searched.unfit));
    }
    assert_eq!(compared, [(4, 0), (3, 1)]);
}
