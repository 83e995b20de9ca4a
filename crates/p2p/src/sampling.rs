//! Which cells a light node asks for, and what their answers are worth. Pure.
//!
//! The columns are drawn without repetition, the chunk of each anew, from randomness that nobody else knows: whoever
//! withholds data has to decide before it knows what will be asked. A block whose data cannot be reconstructed misses at
//! least m + 1 of its n columns, at least in one chunk.
//!
//! What this does not prove: that the cells which were not asked for are there (only how unlikely it is that they are not),
//! that others were served too, and that the columns were coded as the protocol asks, which full nodes check.

use rand::{Rng, seq::index};
use weft_primitives::{ChunkIndex, ColumnIndex, Geometry};

/// One cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sample {
    /// Its column.
    pub column: ColumnIndex,
    /// Its chunk.
    pub chunk: ChunkIndex,
}

/// `count` distinct columns of `columns`, all when there are no more, in the order in which they were drawn.
pub fn draw_columns(random: &mut impl Rng, columns: usize, count: usize) -> Vec<ColumnIndex> {
    let drawn = index::sample(random, columns, count.min(columns));
    drawn.into_iter().map(|column| ColumnIndex(u16::try_from(column).expect("at most 256 columns"))).collect()
}

/// A chunk of each of these columns; none when the block has no chunks.
pub fn draw_chunks(random: &mut impl Rng, columns: &[ColumnIndex], chunks: u32) -> Vec<Sample> {
    if chunks == 0 {
        return Vec::new();
    }
    let chunk = |random: &mut _| ChunkIndex(Rng::random_range(random, 0..chunks));
    columns.iter().map(|&column| Sample { column, chunk: chunk(random) }).collect()
}

/// How probably a block with `withheld` of `columns` columns passes when `count` columns are asked for:
/// `C(n − w, s) / C(n, s)`.
pub fn acceptance(columns: usize, withheld: usize, count: usize) -> f64 {
    let (count, withheld) = (count.min(columns), withheld.min(columns));
    // ∏ (n − w − i) / (n − i): the i-th draw misses the withheld ones as well.
    (0..count).map(|i| columns.saturating_sub(withheld + i) as f64 / (columns - i) as f64).product()
}

/// How sure `verified` distinct columns make that the block can be reconstructed: 1 minus the chance that a block which
/// misses the fewest columns that make it impossible, m + 1, would have passed.
pub fn confidence(geometry: Geometry, verified: usize) -> f64 {
    1.0 - acceptance(geometry.columns(), geometry.parity_shards() + 1, verified)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};
    use std::collections::BTreeSet;

    /// Binomial coefficients by Pascal's rule, which shares nothing with the product.
    fn choose(n: usize, k: usize) -> u64 {
        match (n, k) {
            (_, 0) => 1,
            (0, _) => 0,
            _ => choose(n - 1, k - 1) + choose(n - 1, k),
        }
    }

    #[test]
    fn acceptance_is_the_hypergeometric_chance() {
        for withheld in 0..=11 {
            for count in 0..=11 {
                let expected = choose(11 - withheld, count) as f64 / choose(11, count) as f64;
                let found = acceptance(11, withheld, count);
                assert!((found - expected).abs() < 1e-12, "w {withheld}, s {count}: {found}, not {expected}");
            }
        }
        assert_eq!(acceptance(11, 8, 4), 0.0, "three columns cannot answer four questions");
        assert_eq!(acceptance(11, 12, 3), 0.0);
    }

    #[test]
    fn confidence_rises_to_certainty() {
        let sure: Vec<f64> = (0..=11).map(|count| confidence(Geometry::DEV, count)).collect();
        assert_eq!((sure[0], sure[4], sure[11]), (0.0, 1.0, 1.0));
        assert!(sure.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!((sure[1] - 8.0 / 11.0).abs() < 1e-12);
    }

    #[test]
    fn columns_are_distinct_and_every_one_is_drawn() {
        let mut random = StdRng::seed_from_u64(1);
        let mut seen = BTreeSet::new();
        for _ in 0..200 {
            let drawn = draw_columns(&mut random, 11, 4);
            assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), 4);
            seen.extend(drawn);
        }
        assert_eq!(seen.len(), 11);
        assert_eq!(draw_columns(&mut random, 11, 99).len(), 11);
        let columns = draw_columns(&mut random, 11, 11);
        assert!(draw_chunks(&mut random, &columns, 3).iter().all(|sample| sample.chunk.0 < 3));
        assert!(draw_chunks(&mut random, &columns, 0).is_empty());
    }

    /// 1,000 blocks for every w and s: how often all drawn columns are among those that are served lies within five standard
    /// deviations of the formula; where the formula says never, it is never.
    #[test]
    fn over_many_blocks_withholding_is_found_as_often_as_the_formula_says() {
        const BLOCKS: u32 = 1_000;
        for (withheld, count) in (0..=11).flat_map(|withheld| (1..=6).map(move |count| (withheld, count))) {
            let seed = (withheld * 100 + count) as u64;
            let mut random = StdRng::seed_from_u64(seed);
            let accepted = (0..BLOCKS)
                .filter(|_| {
                    let hidden: BTreeSet<_> = draw_columns(&mut random, 11, withheld).into_iter().collect();
                    draw_columns(&mut random, 11, count).iter().all(|column| !hidden.contains(column))
                })
                .count() as f64;
            let chance = choose(11 - withheld, count) as f64 / choose(11, count) as f64;
            let (mean, deviation) =
                (f64::from(BLOCKS) * chance, (f64::from(BLOCKS) * chance * (1.0 - chance)).sqrt());
            assert!(
                (accepted - mean).abs() <= 5.0 * deviation,
                "seed {seed}, w {withheld}, s {count}: {accepted} of {BLOCKS}, expected {mean} ± {deviation}"
            );
        }
    }
}
