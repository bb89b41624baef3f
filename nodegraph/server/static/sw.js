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
		build: "61310502d1375cb6",
		files: [
			"assets/AboutDialog-BLsAZFnH.css",
			"assets/AboutDialog-BkPZhPxl.js",
			"assets/AppMode-BB0ssaVm.css",
			"assets/AppMode-BBPj390i.js",
			"assets/CardPlayer-BLzQKzUg.css",
			"assets/CardPlayer-CnJFQHYt.js",
			"assets/CommentsPanel-DsPAkIiz.css",
			"assets/CommentsPanel-UiJ6L4PV.js",
			"assets/CompareDialog-D2_JPyh7.js",
			"assets/CompareDialog-eYtAVuOg.css",
			"assets/Completing-BxTZM8ur.js",
			"assets/Credentials-Cirk6yvg.css",
			"assets/Credentials-DQbCr5iN.js",
			"assets/FailureDialog-BUz8SToB.css",
			"assets/FailureDialog-C9A8gsj3.js",
			"assets/FileView-Cdrrb5Q8.js",
			"assets/FrameSteps-DgN0H7oa.js",
			"assets/GalleryPanel-DlAKDohi.css",
			"assets/GalleryPanel-Dq8KtdS_.js",
			"assets/GeneratePage-DEeALghJ.css",
			"assets/GeneratePage-DihdsCBm.js",
			"assets/GeneratePage-rOjLiu-y.css",
			"assets/GeneratePage.module-BB7S_THc.js",
			"assets/GetModels-0Olq9xak.css",
			"assets/GetModels-lwSyzjym.js",
			"assets/GetModelsDialog-JC61nc90.js",
			"assets/GridDialog-BB2-wwqo.css",
			"assets/GridDialog-D2EXvpJh.js",
			"assets/HelpPanel-BnG7MqDu.js",
			"assets/HelpPanel-DcaHd0j0.css",
			"assets/HistoryPanel-CBXjZVST.css",
			"assets/HistoryPanel-DPdYVqOF.js",
			"assets/InspectorPanel-B9NPQBWm.js",
			"assets/InspectorPanel-CWkpfNyj.css",
			"assets/InstallPack-DZxyCEJU.js",
			"assets/LackingDialog-zyBknwF2.js",
			"assets/LessonHost-ByZrXp0J.js",
			"assets/LessonHost-p8QkUvIy.css",
			"assets/License-BVEGmbQb.js",
			"assets/License-ChsO7aGu.css",
			"assets/LineageView-C0_ReHPS.css",
			"assets/LineageView-C8EN8H_1.js",
			"assets/LivePlot-DI24FNwN.js",
			"assets/LivePlotDialog-CZIhfh0A.js",
			"assets/Marks-BDqSMrQz.css",
			"assets/Marks-CQrzQeRV.js",
			"assets/MaskDialog-B2OsI7Ji.js",
			"assets/MaskDialog-PzaAcCfv.css",
			"assets/MergeDialog-BnPp4lIR.js",
			"assets/MissingDialog-Cii7JB5p.js",
			"assets/ModelsPanel-Ci0ir02B.css",
			"assets/ModelsPanel-D8LnqKcz.js",
			"assets/MoleculeView-CjGdNp70.js",
			"assets/MoleculeView-cwxGmPwl.css",
			"assets/NodePresetsDialog-CN1B1lpS.css",
			"assets/NodePresetsDialog-DyaqiN2R.js",
			"assets/OpenDialog-CK7tlCEk.js",
			"assets/OpenDialog-CoMke-x3.css",
			"assets/OrganizeDialog-B9L4aHNE.js",
			"assets/PackPanel-BwI4Oy48.css",
			"assets/PackPanel-ltziJvzT.js",
			"assets/PacksDialog-B-4kpPmG.css",
			"assets/PacksDialog-DYj3H24M.js",
			"assets/PaintingView-DGKl67JG.js",
			"assets/PaintingView-J2tBfXGs.css",
			"assets/PalettePanel-DzcEV5Y3.js",
			"assets/PalettePanel-XJSsuStS.css",
			"assets/ParametersPanel-DUQYWiXy.css",
			"assets/ParametersPanel-DXJbZ2P0.js",
			"assets/PlotFile-CfMIa_rJ.js",
			"assets/PlotView-DfOGfp91.css",
			"assets/PlotView-KzbKz6xv.js",
			"assets/Presence-CPxvKs23.js",
			"assets/Presence-UshiLqxF.css",
			"assets/ProblemHelp-D7VgE-Jn.js",
			"assets/ProblemHelp-WZ4r24xo.css",
			"assets/ProblemsPanel-B8I-U8Si.js",
			"assets/ProblemsPanel-CWciQVSB.css",
			"assets/QueuePanel-C5lnAeE0.js",
			"assets/QueuePanel-DJU5SmuH.css",
			"assets/ResultPanel-Bbn9S1mi.css",
			"assets/ResultPanel-D2jst0RM.js",
			"assets/RowsDialog-COdhZ5qf.css",
			"assets/RowsDialog-DCD7LLq_.js",
			"assets/SaveAsDialog-BBMvSMKN.js",
			"assets/SaveAsDialog-BkP6K3Fc.css",
			"assets/Section-DGLvzWe1.css",
			"assets/Section-DrewyMHO.js",
			"assets/SendDialog-Ozl0qERp.js",
			"assets/SendDialog-Zi8I-Aw1.css",
			"assets/SettingsDialog-D--EpzHH.css",
			"assets/SettingsDialog-DEMgDG2W.js",
			"assets/ShapeView-DhOTQdrR.js",
			"assets/ShareDialog-B9tr0OoE.css",
			"assets/ShareDialog-BPUgVe9W.js",
			"assets/ShortcutsDialog-C7QcByMo.css",
			"assets/ShortcutsDialog-D0IybfFC.js",
			"assets/SmallPlot-DFC-qDnU.js",
			"assets/SoundPlayer-D-HV-r3U.js",
			"assets/SoundPlayer-DaSCWQbY.css",
			"assets/SpaceStage-WTWaF1eO.css",
			"assets/SpaceStage-_nxtMW9H.js",
			"assets/Stars-Bya5qWik.css",
			"assets/Stars-C4HOC3sl.js",
			"assets/SweepDialog-B92SeGLg.js",
			"assets/SweepDialog-D--Dbub8.css",
			"assets/TextFile-BbRGdfi_.js",
			"assets/ToolFields-BR0j8kLu.js",
			"assets/ToolFields-BrxoZMy2.css",
			"assets/TranslatedDialog-CZhm8y2g.js",
			"assets/VideoPlayer-OtnyzFI7.css",
			"assets/VideoPlayer-uogXYnbi.js",
			"assets/Viewer-CbwlZl-c.css",
			"assets/Viewer-WgMLc9F-.js",
			"assets/actions-Ikh92SNX.js",
			"assets/browser-CNUOa7fH.js",
			"assets/bytes-mA_wSl9b.js",
			"assets/chooseFile-qXRWmMfJ.js",
			"assets/conflict-CqRbZW60.js",
			"assets/de-D07tKtbp.js",
			"assets/de-jNG6f_LK.js",
			"assets/download-qrOJwrrJ.js",
			"assets/draftLink-DxbAgyS7.js",
			"assets/drawing-Bwxt-L-A.js",
			"assets/ellipsis-vertical-HIZJEgAx.js",
			"assets/en-8z-xnYHb.js",
			"assets/en-p86zb5bd.js",
			"assets/encoder.worker-Bq0-6_QS.js",
			"assets/engine-DyhPnM7q.js",
			"assets/es-4RSkxNgB.js",
			"assets/es-C96QjH3x.js",
			"assets/exportSvg-4ChICEDv.js",
			"assets/exporting-B2EH_XZ7.js",
			"assets/eye-off-DqFjQmJE.js",
			"assets/fr-B7AQLAsI.js",
			"assets/fr-CW1RgM7H.js",
			"assets/frames-CxarhP77.js",
			"assets/graph-8j-ExLoO.css",
			"assets/graph-DA0uCzLn.js",
			"assets/grid-BYuDrRRr.js",
			"assets/grid-D6o0jDOC.js",
			"assets/icons-C7mpDlYV.js",
			"assets/importing-rUCpCI7V.js",
			"assets/index-BHsA_fRN.css",
			"assets/index-DdF6TOn4.js",
			"assets/install-DNwE3GDb.js",
			"assets/ja-B0oxOgsh.js",
			"assets/ja-C9jnq-Um.js",
			"assets/kit-B_6drNmk.js",
			"assets/kit-BsbknK1j.css",
			"assets/layerActions-jdcwvmW4.js",
			"assets/lessons-B5aX25UZ.js",
			"assets/modelOffers-sCLn4vdZ.js",
			"assets/mp4-BseSsseR.js",
			"assets/own-DFJt-ril.js",
			"assets/palette-DId1GuJu.js",
			"assets/pictures-SAFKw0Lm.js",
			"assets/playing-WZBvGoOV.js",
			"assets/presets-lPBbfJhE.js",
			"assets/resolve-CjngDXD9.js",
			"assets/rolldown-runtime-XKyaHtl9.js",
			"assets/runResults-DTDAsUhR.js",
			"assets/saving-DfWbsfhr.js",
			"assets/share-YYK-d3L5.js",
			"assets/shared-BKU38BBS.css",
			"assets/shared-CEUyF7uu.js",
			"assets/sides-CqDrkWF7.js",
			"assets/start-BNOYjmnb.js",
			"assets/starting-C1shi95z.js",
			"assets/states-CH--5nGx.js",
			"assets/taking-CRF8qAQo.js",
			"assets/typeTexts-DIn28t9G.js",
			"assets/useConnection-7eBgVnBA.js",
			"assets/useFile-DuCCZDNa.js",
			"assets/useZoom-D9CLK7MG.js",
			"assets/useZoom-svovF6-A.css",
			"assets/values-SJWLKc6T.js",
			"assets/values-cC2eVJzb.js",
			"assets/widgets-CVXF0yO_.js",
			"assets/zh-Hans-DYwZpYGL.js",
			"assets/zh-Hans-DhUHWSSJ.js"
		]
	});
})();
