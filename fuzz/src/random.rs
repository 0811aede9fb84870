//! Small random numbers from libFuzzer's seed.

pub struct Random(u64);

impl Random {
    pub fn new(seed: u32) -> Random {
        Random(u64::from(seed) << 1 | 1)
    }

    fn next(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// From 0 to below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end
    }

    pub fn one_of<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        if choices.is_empty() { None } else { Some(&choices[self.below(choices.len())]) }
    }

    pub fn one_of_mut<'a, T>(&mut self, choices: &'a mut [T]) -> Option<&'a mut T> {
        if choices.is_empty() { None } else { Some(&mut choices[self.below(choices.len())]) }
    }

    /// A number that code may trip over.
    pub fn number(&mut self) -> i64 {
        const EDGES: [i64; 14] = [0, 1, -1, 2, 3, -2, 4, 7, 1 << 20, 1 << 31, -(1 << 31), 1 << 40, i64::MAX, i64::MIN];
        match self.below(4) {
            0 => self.below(17) as i64 - 8,
            _ => EDGES[self.below(EDGES.len())],
        }
    }
}
