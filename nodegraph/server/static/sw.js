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
		build: "c5e49f2229abc890",
		files: [
			"assets/AboutDialog-BLsAZFnH.css",
			"assets/AboutDialog-D3f5PCNX.js",
			"assets/AppMode-BB0ssaVm.css",
			"assets/AppMode-rtNe5uvC.js",
			"assets/CardPlayer-BLzQKzUg.css",
			"assets/CardPlayer-CVqIPahd.js",
			"assets/CommentsPanel-BB6gIIAL.js",
			"assets/CommentsPanel-DsPAkIiz.css",
			"assets/Completing-Da9Dc4E1.js",
			"assets/FailureDialog-BUz8SToB.css",
			"assets/FailureDialog-DZTZCfFP.js",
			"assets/FileView-CqOqoaU6.js",
			"assets/FrameSteps-Y121ssxN.js",
			"assets/GalleryPanel-DlAKDohi.css",
			"assets/GalleryPanel-rAjc6soX.js",
			"assets/GeneratePage-DEeALghJ.css",
			"assets/GeneratePage-gxJp1HLm.js",
			"assets/GeneratePage-rOjLiu-y.css",
			"assets/GeneratePage.module-BB7S_THc.js",
			"assets/GetModels-0Olq9xak.css",
			"assets/GetModels-2DvX9ot0.js",
			"assets/GetModelsDialog-Bxg0KRSt.js",
			"assets/GridDialog-BB2-wwqo.css",
			"assets/GridDialog-QEaisRve.js",
			"assets/HelpPanel-C2_8dQS7.js",
			"assets/HelpPanel-DcaHd0j0.css",
			"assets/HistoryPanel-CBXjZVST.css",
			"assets/HistoryPanel-nlGEPozo.js",
			"assets/InspectorPanel-CWkpfNyj.css",
			"assets/InspectorPanel-CzXva358.js",
			"assets/InstallPack-B_3wbKJr.js",
			"assets/LackingDialog-BVwKkwm2.js",
			"assets/LessonHost-DB87XA7k.js",
			"assets/LessonHost-p8QkUvIy.css",
			"assets/License-ChsO7aGu.css",
			"assets/License-CvbcqOmV.js",
			"assets/LivePlot-fFXfzgEl.js",
			"assets/LivePlotDialog-CS79YVXm.js",
			"assets/Marks-BDqSMrQz.css",
			"assets/Marks-CK2c5MKN.js",
			"assets/MaskDialog-PvQFwBSt.js",
			"assets/MaskDialog-PzaAcCfv.css",
			"assets/MissingDialog-BLfRHzxb.js",
			"assets/ModelsPanel-BmdZvR6m.js",
			"assets/ModelsPanel-BuHRhjkV.css",
			"assets/MoleculeView-B_MUMnBT.js",
			"assets/MoleculeView-cwxGmPwl.css",
			"assets/NodePresetsDialog-Bj3DLkFr.js",
			"assets/NodePresetsDialog-CN1B1lpS.css",
			"assets/OpenDialog-CMpkNPNS.js",
			"assets/OpenDialog-CoMke-x3.css",
			"assets/OrganizeDialog-DJoaTrvB.js",
			"assets/PackPanel-Bg9EFjiw.js",
			"assets/PackPanel-BwI4Oy48.css",
			"assets/PacksDialog-B-4kpPmG.css",
			"assets/PacksDialog-BwaYVAkd.js",
			"assets/PaintingView-D_RT-p2V.js",
			"assets/PaintingView-vwScJV5K.css",
			"assets/PalettePanel-D6Opt2Sb.js",
			"assets/PalettePanel-XJSsuStS.css",
			"assets/ParametersPanel-DUQYWiXy.css",
			"assets/ParametersPanel-U1lAphVJ.js",
			"assets/PlotFile-D9WMvrr6.js",
			"assets/PlotView-DfOGfp91.css",
			"assets/PlotView-rtvqYxht.js",
			"assets/Presence-DohSIgcl.js",
			"assets/Presence-UshiLqxF.css",
			"assets/ProblemHelp-CBsHoGQK.js",
			"assets/ProblemHelp-WZ4r24xo.css",
			"assets/ProblemsPanel-CWciQVSB.css",
			"assets/ProblemsPanel-Dmo2ZkcT.js",
			"assets/QueuePanel-DJU5SmuH.css",
			"assets/QueuePanel-DwVJ-OTc.js",
			"assets/ResultPanel-Bbn9S1mi.css",
			"assets/ResultPanel-xUkWzsvN.js",
			"assets/RowsDialog-COdhZ5qf.css",
			"assets/RowsDialog-CbkrzeiQ.js",
			"assets/SaveAsDialog-BkP6K3Fc.css",
			"assets/SaveAsDialog-v3uhDnpu.js",
			"assets/Section-B18k9DLT.js",
			"assets/Section-DGLvzWe1.css",
			"assets/SendDialog-CszkLDJX.js",
			"assets/SendDialog-Zi8I-Aw1.css",
			"assets/SettingsDialog-D--EpzHH.css",
			"assets/SettingsDialog-DITEpzV0.js",
			"assets/ShapeView-C9Uuw24k.js",
			"assets/ShareDialog-B9tr0OoE.css",
			"assets/ShareDialog-_qrVUppa.js",
			"assets/ShortcutsDialog-5HSgHBbP.js",
			"assets/ShortcutsDialog-C7QcByMo.css",
			"assets/SmallPlot-BJzr83Xr.js",
			"assets/SoundPlayer-DEaafwBu.js",
			"assets/SoundPlayer-DaSCWQbY.css",
			"assets/SpaceStage-CU4vOw6e.js",
			"assets/SpaceStage-WTWaF1eO.css",
			"assets/Stars-BajS30n6.js",
			"assets/Stars-Bya5qWik.css",
			"assets/SweepDialog-D--Dbub8.css",
			"assets/SweepDialog-zlB8rV37.js",
			"assets/TextFile-C4rpGKcy.js",
			"assets/ToolFields-BrxoZMy2.css",
			"assets/ToolFields-LBoMvtpU.js",
			"assets/TranslatedDialog-BZ1BESIZ.js",
			"assets/VideoPlayer-DXuwCNX8.js",
			"assets/VideoPlayer-OtnyzFI7.css",
			"assets/Viewer-1kCthjvK.js",
			"assets/Viewer-BaKI-l6j.css",
			"assets/actions-cfVFN3sO.js",
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
			"assets/exportSvg-D8fPhXii.js",
			"assets/exporting-BPM9F0xw.js",
			"assets/eye-off-z6aZN8p-.js",
			"assets/fr-B7AQLAsI.js",
			"assets/fr-B9HXqkXm.js",
			"assets/frames-wyXAvt1C.js",
			"assets/graph-4eLEueZD.js",
			"assets/graph-D4Cqm9Zo.css",
			"assets/grid-BWvsdUUh.js",
			"assets/grid-Bre8C10W.js",
			"assets/icons-CAmd6XwK.js",
			"assets/importing-Drq26ilc.js",
			"assets/index-CSHQSRLG.css",
			"assets/index-rg6UvD5l.js",
			"assets/install-CwIWS_Q1.js",
			"assets/ja-C9jnq-Um.js",
			"assets/ja-wgsREnFe.js",
			"assets/kit-7VvB7Pxz.js",
			"assets/kit-C71rNCQa.css",
			"assets/layerActions-CGRCRcoR.js",
			"assets/lessons-DV5ko0Cy.js",
			"assets/modelOffers-DzuVHyzF.js",
			"assets/mp4-BseSsseR.js",
			"assets/own-ERtjF36i.js",
			"assets/palette-DgVzBRmH.js",
			"assets/pictures-C9tgvnk3.js",
			"assets/playing-WZBvGoOV.js",
			"assets/presets-DLkCLP4y.js",
			"assets/resolve-BakmrSzl.js",
			"assets/rolldown-runtime-XKyaHtl9.js",
			"assets/runResults-1jYOjZjU.js",
			"assets/saving-Bq7eRTcF.js",
			"assets/share-Bnb5Kv2y.js",
			"assets/shared-Bc1SHRJs.css",
			"assets/shared-C-0CGqpJ.js",
			"assets/start-STo61ojG.js",
			"assets/starting-BSHTI7RR.js",
			"assets/states-B57vrTZ0.js",
			"assets/taking-DOnpfI72.js",
			"assets/typeTexts-oULtmSn_.js",
			"assets/useAnswer-Buv4cJxQ.js",
			"assets/useConnection-DWffN3jz.js",
			"assets/useFile-D8ancZmK.js",
			"assets/useInfiniteQuery-CkyyTW0R.js",
			"assets/useZoom-CA6bO9eO.js",
			"assets/useZoom-svovF6-A.css",
			"assets/values-BWY2Ui74.js",
			"assets/values-cC2eVJzb.js",
			"assets/widgets-c88kUM4y.js",
			"assets/zh-Hans-DYwZpYGL.js",
			"assets/zh-Hans-RV5hY-SW.js"
		]
	});
})();
