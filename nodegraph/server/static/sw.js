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
		build: "2763e7a488e5ffe9",
		files: [
			"assets/AboutDialog-BLsAZFnH.css",
			"assets/AboutDialog-CgX68e-R.js",
			"assets/AppMode-BB0ssaVm.css",
			"assets/AppMode-DWG-DfGN.js",
			"assets/CardPlayer-4NmAllo9.js",
			"assets/CardPlayer-BLzQKzUg.css",
			"assets/CommentsPanel-D3jDbFdn.js",
			"assets/CommentsPanel-DsPAkIiz.css",
			"assets/CompareDialog-0RwuHWLn.js",
			"assets/CompareDialog-eYtAVuOg.css",
			"assets/Completing-wEjvXumS.js",
			"assets/Credentials-Cirk6yvg.css",
			"assets/Credentials-D2seZL8w.js",
			"assets/FailureDialog-BUz8SToB.css",
			"assets/FailureDialog-KCq89CIf.js",
			"assets/FileView-Crv9YITq.js",
			"assets/FrameSteps-DfvGsYk_.js",
			"assets/GalleryPanel-Bqt9ygr1.js",
			"assets/GalleryPanel-DlAKDohi.css",
			"assets/GeneratePage-DEeALghJ.css",
			"assets/GeneratePage-esqjdN5A.js",
			"assets/GeneratePage-rOjLiu-y.css",
			"assets/GeneratePage.module-BB7S_THc.js",
			"assets/GetModels-0Olq9xak.css",
			"assets/GetModels-0szqZyBP.js",
			"assets/GetModelsDialog-Cc_f6JEL.js",
			"assets/GridDialog-BB2-wwqo.css",
			"assets/GridDialog-DNKUuGCb.js",
			"assets/HelpPanel-BRVyHgbg.js",
			"assets/HelpPanel-DcaHd0j0.css",
			"assets/HistoryPanel-CBXjZVST.css",
			"assets/HistoryPanel-DULcywUt.js",
			"assets/InspectorPanel-CFAkgf_e.js",
			"assets/InspectorPanel-CWkpfNyj.css",
			"assets/InstallPack-Clhuo2zn.js",
			"assets/LackingDialog-BzUhtLWK.js",
			"assets/LessonHost-BJPQGN-J.js",
			"assets/LessonHost-p8QkUvIy.css",
			"assets/License-ChsO7aGu.css",
			"assets/License-D_Ji_NwX.js",
			"assets/LineageView-C0_ReHPS.css",
			"assets/LineageView-Oe-w4Lbp.js",
			"assets/LivePlot-DMkkR0w2.js",
			"assets/LivePlotDialog-C2nk-Dpb.js",
			"assets/Marks-BDqSMrQz.css",
			"assets/Marks-DVkm3Wlr.js",
			"assets/MaskDialog-CForf_du.js",
			"assets/MaskDialog-PzaAcCfv.css",
			"assets/MergeDialog-6Y_XiPX1.js",
			"assets/MissingDialog-C5iToG_a.js",
			"assets/ModelsPanel-CQGOcmq0.css",
			"assets/ModelsPanel-DRbAtQfI.js",
			"assets/MoleculeView-BB4kjOkH.js",
			"assets/MoleculeView-cwxGmPwl.css",
			"assets/NodePresetsDialog-BkLGWtcF.js",
			"assets/NodePresetsDialog-CN1B1lpS.css",
			"assets/OpenDialog-5zuiMO9J.js",
			"assets/OpenDialog-CoMke-x3.css",
			"assets/OrganizeDialog-Cav0ik76.js",
			"assets/PackPanel-BwI4Oy48.css",
			"assets/PackPanel-CFDRWd8t.js",
			"assets/PacksDialog-B-4kpPmG.css",
			"assets/PacksDialog-BPnhXnsy.js",
			"assets/PaintingView-B9cUvCgN.js",
			"assets/PaintingView-J2tBfXGs.css",
			"assets/PalettePanel-BFXOlVgO.js",
			"assets/PalettePanel-XJSsuStS.css",
			"assets/ParametersPanel-CuBqml-H.js",
			"assets/ParametersPanel-DUQYWiXy.css",
			"assets/PlotFile-DhmM-mAH.js",
			"assets/PlotView-DfOGfp91.css",
			"assets/PlotView-eSYFO93Z.js",
			"assets/Presence-DFkifGQr.js",
			"assets/Presence-UshiLqxF.css",
			"assets/ProblemHelp-D9HLJPrf.js",
			"assets/ProblemHelp-WZ4r24xo.css",
			"assets/ProblemsPanel-CWciQVSB.css",
			"assets/ProblemsPanel-x5riislb.js",
			"assets/QueuePanel-DJU5SmuH.css",
			"assets/QueuePanel-DcoAjic8.js",
			"assets/ResultPanel-BKtmIv5z.js",
			"assets/ResultPanel-Bbn9S1mi.css",
			"assets/RowsDialog-COdhZ5qf.css",
			"assets/RowsDialog-DKkPhIvx.js",
			"assets/SaveAsDialog-45hMZbv_.js",
			"assets/SaveAsDialog-BkP6K3Fc.css",
			"assets/Section-B-hohDtu.js",
			"assets/Section-DGLvzWe1.css",
			"assets/SendDialog-BDdQtagX.js",
			"assets/SendDialog-Zi8I-Aw1.css",
			"assets/SettingsDialog-D--EpzHH.css",
			"assets/SettingsDialog-y19paCqo.js",
			"assets/ShapeView-YIRbPEFj.js",
			"assets/ShareDialog-B9tr0OoE.css",
			"assets/ShareDialog-CFWEISCK.js",
			"assets/ShortcutsDialog-C7QcByMo.css",
			"assets/ShortcutsDialog-CbOqtT7k.js",
			"assets/SmallPlot-BoNkGlAI.js",
			"assets/SoundPlayer-DSAe46Vy.js",
			"assets/SoundPlayer-DaSCWQbY.css",
			"assets/SpaceStage-WTWaF1eO.css",
			"assets/SpaceStage-z8z2YxB_.js",
			"assets/Stars-Bya5qWik.css",
			"assets/Stars-V4RkiQQi.js",
			"assets/SweepDialog-CnIECx7t.js",
			"assets/SweepDialog-D--Dbub8.css",
			"assets/TextFile-Ba-B6us6.js",
			"assets/ToolFields-BXmmPFaA.js",
			"assets/ToolFields-BrxoZMy2.css",
			"assets/TranslatedDialog--5KvHauk.js",
			"assets/VideoPlayer-BfqCNZ1h.js",
			"assets/VideoPlayer-OtnyzFI7.css",
			"assets/Viewer-B9pcqMRa.js",
			"assets/Viewer-CbwlZl-c.css",
			"assets/actions-BAUIRF_i.js",
			"assets/browser-CNUOa7fH.js",
			"assets/bytes-mA_wSl9b.js",
			"assets/chooseFile-qXRWmMfJ.js",
			"assets/conflict-B0rjPY5F.js",
			"assets/de-C7zEYuTo.js",
			"assets/de-D07tKtbp.js",
			"assets/download-qrOJwrrJ.js",
			"assets/draftLink-C3pmj_X7.js",
			"assets/drawing-D46Hps4q.js",
			"assets/ellipsis-vertical-HIZJEgAx.js",
			"assets/en-8z-xnYHb.js",
			"assets/en-lvDaj_iO.js",
			"assets/encoder.worker-Bq0-6_QS.js",
			"assets/engine-DyhPnM7q.js",
			"assets/es-C96QjH3x.js",
			"assets/es-CmIcIpRn.js",
			"assets/exportSvg-CYgkkltD.js",
			"assets/exporting-Cs4BXtEf.js",
			"assets/eye-off-DqFjQmJE.js",
			"assets/fr-B7AQLAsI.js",
			"assets/fr-tFvOK7jR.js",
			"assets/frames-5BNDKNzK.js",
			"assets/graph-CRj-WSfM.js",
			"assets/graph-DZ8R-fHl.css",
			"assets/grid-D6o0jDOC.js",
			"assets/grid-DpgpYZ43.js",
			"assets/icons-C7mpDlYV.js",
			"assets/importing-Bf53PT8Y.js",
			"assets/index-DCZ9eYC0.css",
			"assets/index-DP7Mwomd.js",
			"assets/install-BwGnRztO.js",
			"assets/ja-C9jnq-Um.js",
			"assets/ja-CB-i8SQF.js",
			"assets/kit-BsbknK1j.css",
			"assets/kit-CgOf_2oT.js",
			"assets/late-B5HuZPmp.js",
			"assets/late-BaDVDvzQ.js",
			"assets/late-Ckn6BCbO.js",
			"assets/late-CpIl5QhY.js",
			"assets/late-DIS_trMl.js",
			"assets/late-DuoGOs9y.js",
			"assets/layerActions-CQtVrRbm.js",
			"assets/lessons-Cnp3mbck.js",
			"assets/modelOffers-BGmhVJH6.js",
			"assets/mp4-BseSsseR.js",
			"assets/own-DCSTu0Fy.js",
			"assets/palette-DId1GuJu.js",
			"assets/pictures-BNo8n8Hz.js",
			"assets/playing-WZBvGoOV.js",
			"assets/presets-akS1xOlv.js",
			"assets/resolve-CWbaYb8Q.js",
			"assets/rolldown-runtime-XKyaHtl9.js",
			"assets/runResults-D1ENJ461.js",
			"assets/saving-C3NzASn9.js",
			"assets/share-D2hSZDdy.js",
			"assets/shared-BKU38BBS.css",
			"assets/shared-BPMXy07G.js",
			"assets/sides-DDzPZBpf.js",
			"assets/start-gziVdZVZ.js",
			"assets/starting-CIisvzR2.js",
			"assets/states-DcAa38_T.js",
			"assets/steps-DaY8ZpVN.js",
			"assets/taking-loUMh4x9.js",
			"assets/typeTexts-BgqwEY4n.js",
			"assets/useConnection-C_3F0h_R.js",
			"assets/useFile-CTygEwdm.js",
			"assets/useZoom-FrNuzAwq.js",
			"assets/useZoom-svovF6-A.css",
			"assets/values-CVbb9kjT.js",
			"assets/values-cC2eVJzb.js",
			"assets/widgets-Du1lKed5.js",
			"assets/zh-Hans-DYwZpYGL.js",
			"assets/zh-Hans-JjaPfaOZ.js"
		]
	});
})();
