import fc from "fast-check";

// What is delivered is tested with the same examples each time; anywhere else with new ones.
if (process.env.CI) fc.configureGlobal({ seed: 20_261 });
