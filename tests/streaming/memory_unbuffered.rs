//! What huge answers to slow readers cost where nginx doesn't buffer them.

use crate::UNBUFFERED;
use crate::memory::{a_huge_answer_costs_little_memory, many_huge_answers_cost_little_memory};

#[test]
fn a_huge_answer_to_a_slow_reader_costs_little_memory_unbuffered() {
    a_huge_answer_costs_little_memory(UNBUFFERED);
}

#[test]
fn many_huge_answers_cost_little_memory_each_unbuffered() {
    many_huge_answers_cost_little_memory(UNBUFFERED);
}
