//! Minimises a smooth convex function by limited-memory BFGS (Nocedal and Wright, Numerical Optimization, ch. 7.2).

/// Pairs of steps and gradient changes that are kept.
const MEMORY: usize = 10;
const MAX_ITERATIONS: usize = 300;
const MAX_HALVINGS: usize = 20;
/// Relative decrease that counts as none, and how many such steps in a row end the search: an objective summed in
/// single precision can go on falling by its rounding errors for long.
const NO_DECREASE: f64 = 1e-10;
const MAX_IDLE: usize = 3;
/// Armijo's constant: the share of the predicted decrease that a step must bring.
const SUFFICIENT_DECREASE: f64 = 1e-4;

struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    rho: f64,
}

/// Returns a minimiser of `objective`, from `start`.
///
/// `objective` writes the gradient at its first argument into its second and returns the value. `converged` is given
/// the point and the gradient. The search also ends when rounding hides any further decrease.
pub(crate) fn minimise(
    mut objective: impl FnMut(&[f64], &mut [f64]) -> f64,
    converged: impl Fn(&[f64], &[f64]) -> bool,
    start: Vec<f64>,
) -> Vec<f64> {
    let mut point = start;
    let mut gradient = vec![0.0; point.len()];
    let mut value = objective(&point, &mut gradient);
    let mut pairs: Vec<Pair> = Vec::with_capacity(MEMORY + 1);
    let mut trial = point.clone();
    let mut trial_gradient = gradient.clone();
    let mut idle = 0;
    for _ in 0..MAX_ITERATIONS {
        if idle == MAX_IDLE || converged(&point, &gradient) {
            break;
        }
        let mut direction = descent(&pairs, &gradient);
        let mut slope = inner(&direction, &gradient);
        if slope >= 0.0 {
            pairs.clear();
            direction = descent(&pairs, &gradient);
            slope = inner(&direction, &gradient);
        }
        let mut length = 1.0;
        let mut accepted = false;
        for _ in 0..MAX_HALVINGS {
            for ((t, p), d) in trial.iter_mut().zip(&point).zip(&direction) {
                *t = p + length * d;
            }
            let trial_value = objective(&trial, &mut trial_gradient);
            if trial_value <= value + SUFFICIENT_DECREASE * length * slope {
                idle = if value - trial_value <= NO_DECREASE * value.abs() { idle + 1 } else { 0 };
                value = trial_value;
                accepted = true;
                break;
            }
            length *= 0.5;
        }
        if !accepted {
            break;
        }
        remember(&mut pairs, difference(&trial, &point), difference(&trial_gradient, &gradient));
        std::mem::swap(&mut point, &mut trial);
        std::mem::swap(&mut gradient, &mut trial_gradient);
    }
    point
}

/// Applies the approximate inverse Hessian to the negative gradient (the two-loop recursion).
fn descent(pairs: &[Pair], gradient: &[f64]) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut alphas = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let alpha = pair.rho * inner(&pair.step, &direction);
        add_scaled(&mut direction, -alpha, &pair.change);
        alphas.push(alpha);
    }
    let scale = match pairs.last() {
        Some(pair) => 1.0 / (pair.rho * inner(&pair.change, &pair.change)),
        // With no curvature known, a first step of at most length one.
        None => 1.0 / inner(gradient, gradient).sqrt().max(1.0),
    };
    for d in &mut direction {
        *d *= scale;
    }
    for (pair, alpha) in pairs.iter().zip(alphas.into_iter().rev()) {
        let beta = pair.rho * inner(&pair.change, &direction);
        add_scaled(&mut direction, alpha - beta, &pair.step);
    }
    direction
}

fn remember(pairs: &mut Vec<Pair>, step: Vec<f64>, change: Vec<f64>) {
    let curvature = inner(&step, &change);
    // Rounding can make the curvature vanish; such a pair would break the inverse's positive definiteness.
    if curvature > 1e-10 * inner(&change, &change).sqrt() * inner(&step, &step).sqrt() {
        if pairs.len() == MEMORY {
            pairs.remove(0);
        }
        pairs.push(Pair { step, change, rho: 1.0 / curvature });
    }
}

/// Returns the sum of products.
pub(crate) fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(p, q)| p * q).sum()
}

fn add_scaled(to: &mut [f64], scale: f64, add: &[f64]) {
    to.iter_mut().zip(add).for_each(|(t, a)| *t += scale * a);
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(p, q)| p - q).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reaches_the_minimum_of_an_ill_conditioned_bowl() {
        let scale = [1.0, 10.0, 100.0, 1000.0];
        let centre = [1.0, -2.0, 3.0, 0.5];
        let bowl = |p: &[f64], g: &mut [f64]| {
            let mut value = 0.0;
            for i in 0..4 {
                let d = p[i] - centre[i];
                g[i] = scale[i] * d;
                value += 0.5 * scale[i] * d * d;
            }
            value
        };
        let found = minimise(bowl, |_, g| inner(g, g) < 1e-16, vec![0.0; 4]);
        for (f, c) in found.iter().zip(centre) {
            assert!((f - c).abs() < 1e-7, "{found:?}");
        }
    }
}
