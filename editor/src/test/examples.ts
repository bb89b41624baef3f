import fc from "fast-check";
import { fetchLateWords, switchLanguage } from "@/i18n";

// What is delivered is tested with the same examples each time; anywhere else with new ones.
if (process.env.CI) fc.configureGlobal({ seed: 20_261 });

// As on a page: before anything is drawn.
await switchLanguage("en");
await fetchLateWords();
