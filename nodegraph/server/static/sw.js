(function() {
	// src/pwa/shell.ts
	var PREFIX = "nodegraph-shell";
	/** Addresses of the page below the worker's own. */
	var PAGES = /* @__PURE__ */ new Set(["", "generate"]);
	/** Files beside the page that keep their name when they change. */
	var NAMED = [
		"favicon.svg",
		"manifest.webmanifest",
		"icon-192.png",
		"icon-512.png"
	];
	/** What a proxy says of a server that is away. */
	var AWAY = /* @__PURE__ */ new Set([
		502,
		503,
		504
	]);
	/** Files that are fetched at once: the page has work of its own meanwhile. */
	var AT_ONCE = 4;
	function startShell(scope, { build, files }) {
		const base = new URL("./", scope.location.href).href;
		const prefix = `${PREFIX} ${base} `;
		const name = prefix + build;
		scope.addEventListener("install", (event) => event.waitUntil(keepAll().then(() => scope.skipWaiting())));
		scope.addEventListener("activate", (event) => event.waitUntil(dropOld().then(() => scope.clients.claim())));
		scope.addEventListener("fetch", (event) => {
			const answer = answerOf(event.request);
			if (answer !== null) event.respondWith(answer);
		});
		function answerOf(request) {
			if (request.method !== "GET" || !request.url.startsWith(base)) return null;
			const path = new URL(request.url).pathname.slice(new URL(base).pathname.length);
			if (request.mode === "navigate") return PAGES.has(path) ? newest(request, base) : null;
			if (path.startsWith("assets/")) return keptOr(request);
			return NAMED.includes(path) ? newest(request, request.url) : null;
		}
		/** From the server; what is kept where that is away. */
		async function newest(request, key) {
			const kept = () => keptIn(name, key);
			try {
				const answer = await scope.fetch(request);
				return AWAY.has(answer.status) ? await kept() ?? answer : answer;
			} catch (error) {
				const answer = await kept();
				if (answer === void 0) throw error;
				return answer;
			}
		}
		/** What is kept of any build, for its name tells its content; else from the server. */
		async function keptOr(request) {
			return await keptFile(request.url) ?? scope.fetch(request);
		}
		async function keptFile(url) {
			for (const key of await ownCaches()) {
				const found = await keptIn(key, url);
				if (found !== void 0) return found;
			}
		}
		function keptIn(cacheName, url) {
			return scope.caches.match(url, {
				...LOOSELY,
				cacheName
			});
		}
		/** Keep all of this build, or nothing: half a page would be worse than none. */
		async function keepAll() {
			if (await keptIn(name, base) !== void 0) return;
			try {
				const page = await fetched(base, "no-cache");
				checkPage(await page.clone().text(), files);
				const cache = await scope.caches.open(name);
				const left = [...files, ...NAMED];
				const work = async () => {
					for (let path = left.pop(); path !== void 0; path = left.pop()) {
						const url = base + path;
						const isHashed = path.startsWith("assets/");
						const known = isHashed ? await keptFile(url) : void 0;
						await cache.put(url, known ?? await fetched(url, isHashed ? "default" : "no-cache"));
					}
				};
				await Promise.all(Array.from({ length: AT_ONCE }, work));
				await cache.put(base, page);
			} catch (error) {
				await scope.caches.delete(name);
				throw error;
			}
		}
		/** An answer that is what was asked for: one to log in, or of a proxy, isn't. */
		async function fetched(url, cache) {
			const answer = await scope.fetch(url, {
				cache,
				credentials: "same-origin"
			});
			if (!answer.ok || answer.redirected) throw new Error(`${url} answered ${answer.status}`);
			return answer;
		}
		/** The caches of this server, the newest first. */
		async function ownCaches() {
			return (await scope.caches.keys()).filter((key) => key.startsWith(prefix)).reverse();
		}
		async function dropOld() {
			const others = (await ownCaches()).filter((key) => key !== name);
			for (const key of others.slice(1)) await scope.caches.delete(key);
		}
	}
	/** The same file comes packed in several ways, and a page's address may carry a question. */
	var LOOSELY = {
		ignoreVary: true,
		ignoreSearch: true
	};
	/** Names of the files that a page loads first, below its own address. */
	function filesOf(page) {
		return [...page.matchAll(/(?:src|href)="[^"]*?(assets\/[\w.-]+)"/g)].map(([, path = ""]) => path);
	}
	/** The page that the server has just now must be of this build. */
	function checkPage(page, files) {
		const strange = filesOf(page).find((path) => !files.includes(path));
		if (strange !== void 0) throw new Error(`${strange} is of another build`);
	}
	// src/pwa/worker.ts
	/** The service worker: built by itself into `sw.js`, see scripts/serviceWorker.ts. */
	startShell(self, {
		build: "9d56fcc338418f33",
		files: [
			"assets/AboutDialog-BLsAZFnH.css",
			"assets/AboutDialog-BOMyKsvt.js",
			"assets/AppMode-BB0ssaVm.css",
			"assets/AppMode-DR9bzvVr.js",
			"assets/CardPlayer-BLzQKzUg.css",
			"assets/CardPlayer-BgMcrKt2.js",
			"assets/CommentsPanel-BXTnQToy.js",
			"assets/CommentsPanel-DsPAkIiz.css",
			"assets/Completing-BbKFkEHB.js",
			"assets/FailureDialog-BUz8SToB.css",
			"assets/FailureDialog-Bb44lutm.js",
			"assets/FileView-DedkoKvo.js",
			"assets/FrameSteps-Bft8MzRW.js",
			"assets/GalleryPanel-C81vCfDW.js",
			"assets/GalleryPanel-DlAKDohi.css",
			"assets/GeneratePage-DEeALghJ.css",
			"assets/GeneratePage-Dc2xQBhz.js",
			"assets/GeneratePage-rOjLiu-y.css",
			"assets/GeneratePage.module-BB7S_THc.js",
			"assets/GetModels-0Olq9xak.css",
			"assets/GetModels-aCF8fsQr.js",
			"assets/GetModelsDialog-FNsqpTm7.js",
			"assets/GridDialog-BB2-wwqo.css",
			"assets/GridDialog-DEwOCet0.js",
			"assets/HelpPanel-6bpR375t.js",
			"assets/HelpPanel-DcaHd0j0.css",
			"assets/HistoryPanel-CBXjZVST.css",
			"assets/HistoryPanel-DDyVmayY.js",
			"assets/InspectorPanel-CV0E1F87.js",
			"assets/InspectorPanel-CWkpfNyj.css",
			"assets/InstallPack-D6_PtVR4.js",
			"assets/LackingDialog-DCHn1lMC.js",
			"assets/LessonHost-BjChgyxQ.js",
			"assets/LessonHost-p8QkUvIy.css",
			"assets/License-ChsO7aGu.css",
			"assets/License-DLw_K1mF.js",
			"assets/LivePlot-AsX6pTII.js",
			"assets/LivePlotDialog-D3jEfpSZ.js",
			"assets/Marks-BA3h1IIM.js",
			"assets/Marks-BDqSMrQz.css",
			"assets/MaskDialog-PzaAcCfv.css",
			"assets/MaskDialog-_av10_pr.js",
			"assets/MissingDialog-CsolknPs.js",
			"assets/ModelsPanel-B3kKDCsx.js",
			"assets/ModelsPanel-BuHRhjkV.css",
			"assets/MoleculeView-CZlPZa03.js",
			"assets/MoleculeView-cwxGmPwl.css",
			"assets/NodePresetsDialog-BQdF5_LZ.js",
			"assets/NodePresetsDialog-CN1B1lpS.css",
			"assets/OpenDialog-CoMke-x3.css",
			"assets/OpenDialog-fhxgw9Kc.js",
			"assets/OrganizeDialog-BBBOVDc5.js",
			"assets/PackPanel-BwI4Oy48.css",
			"assets/PackPanel-DpDl-r3R.js",
			"assets/PacksDialog-B-4kpPmG.css",
			"assets/PacksDialog-vKLThldG.js",
			"assets/PaintingView-sfp4agCU.js",
			"assets/PaintingView-vwScJV5K.css",
			"assets/PalettePanel-XJSsuStS.css",
			"assets/PalettePanel-omJGVL1x.js",
			"assets/ParametersPanel-Bd482MVo.js",
			"assets/ParametersPanel-DUQYWiXy.css",
			"assets/PlotFile-C-SvZQ7O.js",
			"assets/PlotView-DcVw54Tq.js",
			"assets/PlotView-DfOGfp91.css",
			"assets/Presence-Cjn-rltT.js",
			"assets/Presence-UshiLqxF.css",
			"assets/ProblemHelp-Bnxrh-Vi.js",
			"assets/ProblemHelp-WZ4r24xo.css",
			"assets/ProblemsPanel-CWciQVSB.css",
			"assets/ProblemsPanel-P1MUP8jC.js",
			"assets/QueuePanel-CpvB8p15.js",
			"assets/QueuePanel-DJU5SmuH.css",
			"assets/ResultPanel-Bbn9S1mi.css",
			"assets/ResultPanel-wzLRE4eu.js",
			"assets/RowsDialog-COdhZ5qf.css",
			"assets/RowsDialog-DF0J-Cam.js",
			"assets/SaveAsDialog-BkP6K3Fc.css",
			"assets/SaveAsDialog-CMUhtt8E.js",
			"assets/Section-DGLvzWe1.css",
			"assets/Section-M_mE3W87.js",
			"assets/SendDialog-CjJcfekW.js",
			"assets/SendDialog-Zi8I-Aw1.css",
			"assets/SettingsDialog-CFHU7mV_.js",
			"assets/SettingsDialog-D--EpzHH.css",
			"assets/ShapeView-C4Ee8hte.js",
			"assets/ShareDialog-B9tr0OoE.css",
			"assets/ShareDialog-CfZ6QaFE.js",
			"assets/ShortcutsDialog-C7QcByMo.css",
			"assets/ShortcutsDialog-CyS1Mhkv.js",
			"assets/SmallPlot-DYouuy5y.js",
			"assets/SoundPlayer-CoP5DZuX.js",
			"assets/SoundPlayer-DaSCWQbY.css",
			"assets/SpaceStage-DFrO4gY7.js",
			"assets/SpaceStage-WTWaF1eO.css",
			"assets/Stars-Bya5qWik.css",
			"assets/Stars-CU4uezuo.js",
			"assets/SweepDialog-D--Dbub8.css",
			"assets/SweepDialog-D7V0ukEt.js",
			"assets/TextFile-BRtcS9cZ.js",
			"assets/ToolFields-BrxoZMy2.css",
			"assets/ToolFields-CWgOFHBL.js",
			"assets/TranslatedDialog-C4bO8re3.js",
			"assets/VideoPlayer-C_wZhLsJ.js",
			"assets/VideoPlayer-OtnyzFI7.css",
			"assets/Viewer-ApFN63rz.js",
			"assets/Viewer-BaKI-l6j.css",
			"assets/actions-CcqLtK5f.js",
			"assets/browser-CNUOa7fH.js",
			"assets/bytes-mA_wSl9b.js",
			"assets/chooseFile-qXRWmMfJ.js",
			"assets/de-D07tKtbp.js",
			"assets/de-mtXZhYT-.js",
			"assets/download-qrOJwrrJ.js",
			"assets/ellipsis-vertical-Br_pK0n2.js",
			"assets/en-8z-xnYHb.js",
			"assets/en-BImwFuxO.js",
			"assets/encoder.worker-Bq0-6_QS.js",
			"assets/engine-DyhPnM7q.js",
			"assets/es-BMj_fhlU.js",
			"assets/es-C96QjH3x.js",
			"assets/exportSvg-BJc3r3S1.js",
			"assets/exporting-CBXWr0qd.js",
			"assets/eye-off-z6aZN8p-.js",
			"assets/fr-B7AQLAsI.js",
			"assets/fr-B9HXqkXm.js",
			"assets/frames-BdJlDi0x.js",
			"assets/graph-C-BudEcB.js",
			"assets/graph-D4Cqm9Zo.css",
			"assets/grid-B0Law46E.js",
			"assets/grid-Bre8C10W.js",
			"assets/icons-CAmd6XwK.js",
			"assets/importing-C4pMsqJQ.js",
			"assets/index-Bep37ptC.js",
			"assets/index-CSHQSRLG.css",
			"assets/install-BqIAfqfP.js",
			"assets/ja-C9jnq-Um.js",
			"assets/ja-wgsREnFe.js",
			"assets/kit-C71rNCQa.css",
			"assets/kit-CweCbvlx.js",
			"assets/layerActions-B8bpTgSR.js",
			"assets/lessons-DW65QAPn.js",
			"assets/modelOffers-SaEK6R8r.js",
			"assets/mp4-BseSsseR.js",
			"assets/own-ClQswwgF.js",
			"assets/palette-DgVzBRmH.js",
			"assets/pictures-C7n0Eiqb.js",
			"assets/playing-WZBvGoOV.js",
			"assets/presets-YEyfzenS.js",
			"assets/resolve-DrVVdM61.js",
			"assets/rolldown-runtime-XKyaHtl9.js",
			"assets/runResults-B4w4uD8X.js",
			"assets/saving-CamDVofU.js",
			"assets/share-dOF857V9.js",
			"assets/shared-Bc1SHRJs.css",
			"assets/shared-BkNQRb71.js",
			"assets/start-DgwbUxfl.js",
			"assets/starting-DhxS_Etc.js",
			"assets/states-BpDRRtyr.js",
			"assets/taking-zBE8xeb3.js",
			"assets/typeTexts-DdQw16N-.js",
			"assets/useAnswer-C3QIuxp2.js",
			"assets/useConnection-D_G8d2-S.js",
			"assets/useFile-CaBpi11J.js",
			"assets/useInfiniteQuery-BM4x1LsI.js",
			"assets/useZoom-CwYxfPc8.js",
			"assets/useZoom-svovF6-A.css",
			"assets/values-DqXT1fKg.js",
			"assets/values-cC2eVJzb.js",
			"assets/widgets-BEbBE8Yb.js",
			"assets/zh-Hans-DYwZpYGL.js",
			"assets/zh-Hans-RV5hY-SW.js"
		]
	});
})();
