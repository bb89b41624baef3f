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
		build: "dd3b78338f37dec6",
		files: [
			"assets/AboutDialog-BLsAZFnH.css",
			"assets/AboutDialog-C31SBBRG.js",
			"assets/AppMode-BB0ssaVm.css",
			"assets/AppMode-BiryXJOG.js",
			"assets/CardPlayer-BLzQKzUg.css",
			"assets/CardPlayer-BTKN-beY.js",
			"assets/CommentsPanel-DsPAkIiz.css",
			"assets/CommentsPanel-Lons6zL0.js",
			"assets/Completing-UgyemsPJ.js",
			"assets/FailureDialog-BUz8SToB.css",
			"assets/FailureDialog-Cg89eNM1.js",
			"assets/FileView-CuXFHEq2.js",
			"assets/FrameSteps-CR9IciEb.js",
			"assets/GalleryPanel-2TzEZYww.js",
			"assets/GalleryPanel-DlAKDohi.css",
			"assets/GeneratePage-D9kMnZQA.js",
			"assets/GeneratePage-DEeALghJ.css",
			"assets/GeneratePage-rOjLiu-y.css",
			"assets/GeneratePage.module-BB7S_THc.js",
			"assets/GetModels-0Olq9xak.css",
			"assets/GetModels-B2YBsV28.js",
			"assets/GetModelsDialog-29RSlanN.js",
			"assets/GridDialog-BB2-wwqo.css",
			"assets/GridDialog-DhF-84cq.js",
			"assets/HelpPanel-CXHeCh6h.js",
			"assets/HelpPanel-DcaHd0j0.css",
			"assets/HistoryPanel-CBXjZVST.css",
			"assets/HistoryPanel-DITmerXQ.js",
			"assets/InspectorPanel-BHEOoO42.js",
			"assets/InspectorPanel-CWkpfNyj.css",
			"assets/InstallPack-BYSp_Zhb.js",
			"assets/LackingDialog-LaszZs66.js",
			"assets/LessonHost-DJqVwy1b.js",
			"assets/LessonHost-p8QkUvIy.css",
			"assets/License-ChsO7aGu.css",
			"assets/License-D0lcYxao.js",
			"assets/LivePlot-CElMsX63.js",
			"assets/LivePlotDialog-Dd5Ed8Qn.js",
			"assets/Marks-BDqSMrQz.css",
			"assets/Marks-Cl6AQ2sW.js",
			"assets/MaskDialog-BU_GWNEH.js",
			"assets/MaskDialog-aj2Zx-AD.css",
			"assets/MissingDialog-CAETSYgE.js",
			"assets/ModelsPanel-BuHRhjkV.css",
			"assets/ModelsPanel-YowtNPWz.js",
			"assets/MoleculeView-cwxGmPwl.css",
			"assets/MoleculeView-nbrujLHx.js",
			"assets/NodePresetsDialog-CN1B1lpS.css",
			"assets/NodePresetsDialog-aP6y13QF.js",
			"assets/OpenDialog-CoMke-x3.css",
			"assets/OpenDialog-UkkK0JTx.js",
			"assets/OrganizeDialog-P1kmlKKl.js",
			"assets/PackPanel-BSQaqMSR.js",
			"assets/PackPanel-BwI4Oy48.css",
			"assets/PacksDialog-B-4kpPmG.css",
			"assets/PacksDialog-By3uuNYR.js",
			"assets/PaintingView-CVX_SCog.js",
			"assets/PaintingView-vwScJV5K.css",
			"assets/PalettePanel-CUKcmttb.js",
			"assets/PalettePanel-XJSsuStS.css",
			"assets/ParametersPanel-Cf045VZl.js",
			"assets/ParametersPanel-DUQYWiXy.css",
			"assets/PlotFile-BBFbH5ni.js",
			"assets/PlotView-C4ajCfus.js",
			"assets/PlotView-DfOGfp91.css",
			"assets/Presence-D0F8U19x.js",
			"assets/Presence-UshiLqxF.css",
			"assets/ProblemHelp-DRAk38Ql.js",
			"assets/ProblemHelp-WZ4r24xo.css",
			"assets/ProblemsPanel-C5kifkyb.js",
			"assets/ProblemsPanel-CWciQVSB.css",
			"assets/QueuePanel-B7rEgIZ4.js",
			"assets/QueuePanel-DJU5SmuH.css",
			"assets/ResultPanel-Bbn9S1mi.css",
			"assets/ResultPanel-EiWZ_ovs.js",
			"assets/RowsDialog-COdhZ5qf.css",
			"assets/RowsDialog-CXEndQNa.js",
			"assets/SaveAsDialog-BkP6K3Fc.css",
			"assets/SaveAsDialog-CByclJBr.js",
			"assets/Section-BlYPnplQ.js",
			"assets/Section-DGLvzWe1.css",
			"assets/SendDialog-DRD8cAkF.js",
			"assets/SendDialog-Zi8I-Aw1.css",
			"assets/SettingsDialog-D--EpzHH.css",
			"assets/SettingsDialog-DUWdL68a.js",
			"assets/ShapeView-D1CsmM_m.js",
			"assets/ShareDialog-B9tr0OoE.css",
			"assets/ShareDialog-BOGzq7s-.js",
			"assets/ShortcutsDialog-9Holnkkg.js",
			"assets/ShortcutsDialog-C7QcByMo.css",
			"assets/SmallPlot-9di0sAqc.js",
			"assets/SoundPlayer-DaSCWQbY.css",
			"assets/SoundPlayer-iIZdyA7h.js",
			"assets/SpaceStage-WTWaF1eO.css",
			"assets/SpaceStage-yZ1bYf-M.js",
			"assets/Stars-Bya5qWik.css",
			"assets/Stars-DqcSlE4i.js",
			"assets/SweepDialog-D--Dbub8.css",
			"assets/SweepDialog-DcWZOa1n.js",
			"assets/TextFile-Cu0tdH4g.js",
			"assets/ToolFields-BO92ccB6.css",
			"assets/ToolFields-BkeU7foF.js",
			"assets/TranslatedDialog-VU1Z0qP2.js",
			"assets/VideoPlayer-OkgA9zQH.js",
			"assets/VideoPlayer-OtnyzFI7.css",
			"assets/Viewer-BaKI-l6j.css",
			"assets/Viewer-D2sx4syI.js",
			"assets/actions-DkkCiXFy.js",
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
			"assets/exportSvg-CUd7Dy2s.js",
			"assets/exporting-DJdeQ3RQ.js",
			"assets/eye-off-z6aZN8p-.js",
			"assets/fr-B7AQLAsI.js",
			"assets/fr-B9HXqkXm.js",
			"assets/frames-D82EqbmP.js",
			"assets/graph-1kNFaDSU.js",
			"assets/graph-D4Cqm9Zo.css",
			"assets/grid-Bre8C10W.js",
			"assets/grid-DTBdIdhs.js",
			"assets/icons-CAmd6XwK.js",
			"assets/importing-sWVwo7AJ.js",
			"assets/index-BzNvn6eC.js",
			"assets/index-CSHQSRLG.css",
			"assets/install-BYU_i-mf.js",
			"assets/ja-C9jnq-Um.js",
			"assets/ja-wgsREnFe.js",
			"assets/kit-ByB9D9rN.js",
			"assets/kit-C71rNCQa.css",
			"assets/layerActions-DafviD8b.js",
			"assets/lessons-ClCYTmLV.js",
			"assets/modelOffers-BoI_MNtY.js",
			"assets/mp4-BseSsseR.js",
			"assets/own-Czw9rhXr.js",
			"assets/palette-DgVzBRmH.js",
			"assets/pictures-DSmU0QNF.js",
			"assets/playing-WZBvGoOV.js",
			"assets/presets-BZm1qgv9.js",
			"assets/resolve-Br0NPPc9.js",
			"assets/rolldown-runtime-XKyaHtl9.js",
			"assets/runResults-D9-3mz9o.js",
			"assets/saving-DdRkvMdp.js",
			"assets/share-CE_ZhOvi.js",
			"assets/shared-Bc1SHRJs.css",
			"assets/shared-CaGpKMe7.js",
			"assets/start-CPg0lswp.js",
			"assets/starting-SCjx9hwI.js",
			"assets/states-JOqzDN5I.js",
			"assets/taking-cPvTICAD.js",
			"assets/typeTexts-DcoiSWVP.js",
			"assets/useAnswer-C76PPN6c.js",
			"assets/useConnection-CGDi4jQn.js",
			"assets/useFile-BYYCjp3o.js",
			"assets/useInfiniteQuery-DZZmVlD7.js",
			"assets/useZoom-JjVwb3q6.js",
			"assets/useZoom-svovF6-A.css",
			"assets/values-B02wjiKI.js",
			"assets/values-cC2eVJzb.js",
			"assets/widgets-D9X-VVeG.js",
			"assets/zh-Hans-DYwZpYGL.js",
			"assets/zh-Hans-RV5hY-SW.js"
		]
	});
})();
