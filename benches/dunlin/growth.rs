//! Growth: the same number due among as many, and among a hundred times as many.

use crate::{
    Outcome,
    measure::median,
    month_end::House,
    place::{Place, runtime, setting},
    report::Table,
};

pub fn run() -> Outcome<()> {
    let due: usize = setting("BENCH_DUE", 10_000);
    let grown = setting("BENCH_GROWN", 1_000_000);
    let rounds: usize = setting("BENCH_ROUNDS", 3);
    let place = Place::start("growth")?;
    runtime()?.block_on(async {
        let small = House::build(&place, "small", due, due).await?;
        let large = House::build(&place, "large", grown, due).await?;
        let (mut of_small, mut of_large) = (Vec::new(), Vec::new());
        // In turns, so that whatever else the machine does meets both; the first turn warms up.
        for round in 0..=rounds {
            let (one, other) = (small.month_end(&place).await?, large.month_end(&place).await?);
            if round > 0 {
                of_small.push(one.cost.elapsed.as_secs_f64());
                of_large.push(other.cost.elapsed.as_secs_f64());
            }
        }
        let mut table = Table::new(&["among", "rounds, s", "median, s"]);
        for (count, times) in [(due, &of_small), (grown, &of_large)] {
            let all: Vec<String> = times.iter().map(|time| format!("{time:.2}")).collect();
            table.row(vec![count.to_string(), all.join(" "), format!("{:.2}", median(times.iter().copied()))]);
        }
        table.print(&format!("Growth: {due} due"));
        println!("\nratio of the medians: {:.2}", median(of_large) / median(of_small));
        small.leave().await;
        large.leave().await;
        Ok(())
    })
}
